"""gold_next → gold: copy the answers, then record in `ops.published` which silver versions they are of. Ends it."""

from lakehouse import answers, fault, published, tables
from lakehouse.lease import Lease
from lakehouse.step import run_alone
from lakehouse.tables import QUESTIONS, Lake, side_by_side
from pinline.errors import StateError

_COMPACT_EVERY = 50


def publish(lake: Lake, lease: Lease) -> str:
    """Copy the answers that aren't published yet; returns what was done."""
    versions = lease.pinned()
    before = published.published(lake)
    is_new = not before.are_of(versions)
    if is_new:
        _copy_answers(lake)
        fault.after(lake.settings, "gold")
    published.record(lake, lease.run, versions)
    fault.after(lake.settings, "published")
    if (before.times + 1) % _COMPACT_EVERY == 0:
        tables.compact(lake)
    lease.release("done")
    return f"{len(QUESTIONS)} answers published" if is_new else "the answers were published already"


def _copy_answers(lake: Lake) -> None:
    packed = lake.keep("packed_answers", lake.read("gold_next.answers"))
    try:
        columns = {row.question: row.columns for row in packed.select("question", "columns").collect()}

        def copy(question: str) -> None:
            rows = answers.unpack(packed, question, columns[question]).coalesce(1)
            rows.write.format("delta").mode("overwrite").option("overwriteSchema", True).save(
                lake.path(f"gold.{question}")
            )
            fault.after(lake.settings, f"gold:{question}")

        side_by_side(copy, QUESTIONS)
    finally:
        packed.unpersist()


def publish_once(lake: Lake, lease: Lease) -> str:
    """Do `publish`, unless the run has ended with it already: the step was killed after its last write."""
    try:
        lease.pinned()
    except StateError:
        if not published.is_by(lake, lease.run):
            raise
        lease.release("done")
        return "the run has published its answers already"
    return publish(lake, lease)


def main() -> None:
    """Run the step alone."""
    run_alone(__doc__, lambda lake, lease, _options: publish_once(lake, lease))


if __name__ == "__main__":
    main()
