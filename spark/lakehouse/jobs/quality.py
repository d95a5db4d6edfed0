"""Measure the run into `ops.quality`, and stop it before it publishes what can't be right.

It stops when a key stands twice in a silver table, when q1 is empty though there are posts, and when too large a share
of the rows read since the last publication was quarantined (QUALITY_MAX_QUARANTINED).
"""

from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import fault
from lakehouse.lease import Lease, Versions
from lakehouse.schemas import SILVER
from lakehouse.step import run_alone
from lakehouse.tables import Lake, side_by_side
from pinline.errors import PinlineError
from pinline.events import EVENTS

_ROWS = ("rows_read", "rows_inserted", "rows_duplicate", "rows_quarantined")


class QualityError(PinlineError):
    """The run's data is not fit to be published; gold stays as it was."""


@dataclass
class Quality:
    """What was measured, as (event or empty, measure, column or empty, value), and why the run has to stop."""

    measures: list[tuple[str, str, str, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = [f"{measure} {value:g}" for event, measure, column, value in self.measures if not event and not column]
        return ", ".join(told)


def measure(lake: Lake, lease: Lease) -> Quality:
    """Measure silver at the pinned versions and the rows of the run, write `ops.quality`. Raises QualityError."""
    versions = lease.pinned()
    quality = Quality()
    parts = {
        "rows": lambda: _measure_rows(lake, lease.run, quality),
        "nulls": lambda: _measure_nulls(lake, versions, quality),
        "keys": lambda: _measure_keys(lake, versions, quality),
    }
    side_by_side(lambda name: parts[name](), parts)
    rows = [(lease.run, *row) for row in quality.measures]
    columns = "run string, event string, measure string, column_name string, value double"
    lake.append("ops.quality", rows, columns, "measured_at")
    fault.after(lake.settings, "quality")
    if quality.problems:
        raise QualityError(
            "quality stopped the run, gold stays as it was: "
            + "; ".join(quality.problems)
            + '. Look: make sql Q="SELECT * FROM quarantine.records"'
        )
    return quality


def _measure_rows(lake: Lake, run: str, quality: Quality) -> None:
    last = lake.read("ops.published").agg(F.max("published_at").alias("published_at"))
    counted = lake.read("ops.progress").crossJoin(F.broadcast(last))
    unpublished = F.col("published_at").isNull() | (F.col("written_at") > F.col("published_at"))
    sums = [F.sum(F.when(F.col("run") == run, F.col(name))).alias(name) for name in _ROWS]
    pending = [F.sum(F.when(unpublished, F.col(name))).alias(f"pending_{name}") for name in _ROWS]
    by_event = {row.event: row for row in counted.groupBy("event").agg(*sums, *pending).collect()}
    read = quarantined = 0
    for event in EVENTS:
        row = by_event.get(event.name)
        quality.measures += [(event.name, name, "", float((row and row[name]) or 0)) for name in _ROWS]
        read += (row and row.pending_rows_read) or 0
        quarantined += (row and row.pending_rows_quarantined) or 0
    limit = lake.settings.quality_max_quarantined
    if read and quarantined / read > limit:
        quality.problems.append(
            f"{quarantined:,} of {read:,} rows since the last publication are in quarantine, more than a share of "
            f"{limit:g} (QUALITY_MAX_QUARANTINED)"
        )


def _measure_nulls(lake: Lake, versions: Versions, quality: Quality) -> None:
    frames: list[DataFrame] = []
    for event in EVENTS:
        shares = [F.avg(F.col(name).isNull().cast("double")).alias(name) for name in SILVER[event.name].names]
        frame = lake.read(f"silver.{event.name}", versions[event.name]).agg(*shares)
        frames.append(
            frame.unpivot([], [*map(F.col, SILVER[event.name].names)], "name", "share").withColumn(
                "event", F.lit(event.name)
            )
        )
    for row in frames[0].union(frames[1]).union(frames[2]).collect():
        quality.measures.append((row.event, "null_share", row.name, row.share or 0.0))


def _measure_keys(lake: Lake, versions: Versions, quality: Quality) -> None:
    """Count incomplete events and keys that stand twice, in one pass over the keys; compare q1 with the posts."""
    keys = [lake.read(f"silver.{e.name}", versions[e.name]).select("ind", F.lit(e.name).alias("event")) for e in EVENTS]
    counted = keys[0].union(keys[1]).union(keys[2]).groupBy("ind")
    each = counted.agg(*(F.count_if(F.col("event") == event.name).alias(event.name) for event in EVENTS))
    complete = F.lit(True)
    for event in EVENTS:
        complete &= F.col(event.name) > 0
    row = each.agg(
        F.count_if(complete).alias("posts"),
        F.count_if(~complete).alias("incomplete"),
        *(F.count_if(F.col(e.name) > 1).alias(f"twice_{e.name}") for e in EVENTS),
        *(F.count_if(~complete & (F.col(e.name) == 0)).alias(f"lacks_{e.name}") for e in EVENTS),
    ).collect()[0]
    answered = lake.read("gold_next.answers").where("question = 'q1' AND size(rows) > 0").count()
    quality.measures += [("", "posts", "", float(row.posts)), ("", "incomplete_events", "", float(row.incomplete))]
    quality.measures += [(e.name, "events_without_it", "", float(row[f"lacks_{e.name}"])) for e in EVENTS]
    quality.problems += [
        f"{row[f'twice_{e.name}']:,} keys stand twice in silver.{e.name}" for e in EVENTS if row[f"twice_{e.name}"]
    ]
    if row.posts and not answered:
        quality.problems.append(f"q1 is empty though there are {row.posts:,} posts")


def judge_run(lake: Lake, lease: Lease) -> Quality:
    """Do `measure`; a run that it stops has ended, and the next one needn't wait for its lease."""
    try:
        return measure(lake, lease)
    except QualityError as error:
        lease.release("failed", str(error)[:1000])
        raise


def main() -> None:
    """Run the step alone."""
    run_alone(__doc__, lambda lake, lease, _options: judge_run(lake, lease))


if __name__ == "__main__":
    main()
