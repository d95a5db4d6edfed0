"""silver → gold_next: the nine answers, from silver versions that are pinned in the lease for the steps that follow.

They are written at once, each as a row of `gold_next.answers`: at this size a Delta commit costs more than a question.
"""

from functools import reduce

from pyspark.sql import DataFrame

from lakehouse import answers, fault, published
from lakehouse.lease import Lease, Versions
from lakehouse.step import run_alone
from lakehouse.tables import QUESTIONS, Lake
from pinline.events import EVENTS


def answer(lake: Lake, lease: Lease, versions: Versions) -> None:
    """Pin silver's `versions` and write the answers of them to `gold_next`."""
    lease.pin(versions)
    kept = answers.define_views(lake.spark, {e.name: lake.read(f"silver.{e.name}", versions[e.name]) for e in EVENTS})
    try:
        kept[-1].count()

        each = [answers.pack(answers.ask(lake.spark, question), question) for question in QUESTIONS]
        reduce(DataFrame.unionAll, each).coalesce(1).write.format("delta").mode("overwrite").save(
            lake.path("gold_next.answers")
        )
    finally:
        for frame in reversed(kept):
            frame.unpersist()
    fault.after(lake.settings, "gold_next")


def answer_if_needed(lake: Lake, lease: Lease) -> str:
    """Do `answer` unless the published answers are those of silver's versions; returns what was done."""
    versions = published.last_changes(lake)
    if published.published(lake).are_of(versions):
        lease.pin(versions)
        return "silver has no new row: the answers stay"
    answer(lake, lease, versions)
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{len(QUESTIONS)} answers of silver versions {told}"


def main() -> None:
    """Run the step alone."""
    run_alone(__doc__, lambda lake, lease, _options: answer_if_needed(lake, lease))


if __name__ == "__main__":
    main()
