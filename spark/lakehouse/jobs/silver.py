"""S3 → silver, one event: new objects become rows of `silver.<event>`, each event exactly once.

Writes, in this order, so that a kill anywhere is repaired by running again: quarantine (MERGE on object and line),
silver (insert-only MERGE on the key), ops.progress (how far it is). Runs of different events may work at the same time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import bronze, fault, progress
from lakehouse.bronze import BronzeObject
from lakehouse.cleaning import clean
from lakehouse.progress import Chunk, Counts, Progress
from lakehouse.schemas import ORIGIN, SILVER
from lakehouse.step import run_alone
from lakehouse.tables import Lake, commit, literal
from pinline.events import EVENT_BY_NAME, EventType


@dataclass
class Loaded:
    """What a run loaded of one event."""

    objects: int = 0
    counts: Counts = field(default_factory=Counts)

    def __str__(self) -> str:
        return f"{self.objects} objects: {self.counts}" if self.objects else "nothing new"


def load(
    lake: Lake,
    event: EventType,
    run: str,
    tell: Callable[[str], None] = lambda _: None,
    *,
    so_far: Progress | None = None,
    done: Callable[[Chunk], None] | None = None,
) -> Loaded:
    """Load all new objects of `event`, chunk by chunk.

    `so_far`: what the run has read of progress under its lease. `done` is told of each chunk, and has to see to it that
    progress is written; without it, it is written here.
    """
    done = done or (lambda chunk: progress.advance(lake, run, [chunk]))
    loaded = Loaded()
    last_objects = (so_far or progress.look(lake)).last_objects[event.name]
    new = bronze.new_objects(lake.s3, lake.settings, event, last_objects)
    for chunk in bronze.chunks(new):
        counts = _load_chunk(lake, event, run, chunk)
        done(Chunk(event.name, {item.partition: item.key for item in chunk}, counts))
        loaded.objects += len(chunk)
        loaded.counts += sum(counts.values(), Counts())
        tell(f"{event.name}: {loaded}")
    return loaded


def _load_chunk(lake: Lake, event: EventType, run: str, chunk: list[BronzeObject]) -> dict[int, Counts]:
    cleaned = lake.keep(
        f"cleaned_{event.name}", clean(bronze.read_lines(lake.spark, lake.settings, event, chunk), event)
    )
    try:
        low, high = cleaned.agg(F.min("ind"), F.max("ind")).collect()[0]
        in_reach = F.lit(False) if low is None else F.col("ind").between(low, high)
        silver = lake.read(f"silver.{event.name}").where(in_reach)
        judged = lake.keep(f"judged_{event.name}", judge(cleaned, silver, event))
        try:
            by_verdict = judged.groupBy("_partition", "verdict")
            rows = by_verdict.agg(F.count("*").alias("n"), F.count_if("fresh").alias("fresh")).collect()
            if any(row.verdict == "quarantined" for row in rows):
                _quarantine(lake, event, run)
            if any(row.fresh for row in rows):
                _insert(lake, event, low, high)
        finally:
            judged.unpersist()
    finally:
        cleaned.unpersist()
    counts = {item.partition: Counts() for item in chunk}
    for row in rows:
        counts[row["_partition"]] += Counts.of(row.verdict, row.n)
    return counts


def judge(cleaned: DataFrame, silver: DataFrame, event: EventType) -> DataFrame:
    """Decide about each cleaned row: adds `verdict` and `fresh`, and completes `reason`.

    Of rows with the same key the one in silver counts, else the first by partition, object and line. It is `inserted`
    (`fresh` if it isn't in silver yet), others are `duplicate` if their content is the same, else `quarantined`.
    """
    names = SILVER[event.name].names
    keys = cleaned.where("reason IS NULL").select("ind").distinct()
    stored = silver.join(F.broadcast(keys), "ind", "left_semi").select("ind", _row(names).alias("_stored"))
    by_place = Window.partitionBy("ind", F.col("reason").isNull()).orderBy("_partition", "_object", "_line")
    first = F.first(_row(names)).over(by_place)
    judged = cleaned.withColumn("_first", first).join(stored, "ind", "left")
    kept = F.coalesce("_stored", "_first")
    is_kept = (F.col("_object") == kept["_object"]) & (F.col("_line") == kept["_line"])
    same = F.struct(*names).eqNullSafe(kept["content"])
    verdict = (
        F.when(F.col("reason").isNotNull(), "quarantined")
        .when(is_kept, "inserted")
        .when(same, "duplicate")
        .otherwise("quarantined")
    )
    conflict = F.concat(
        F.lit("key conflict: "), kept["_object"], F.lit(" line "), kept["_line"].cast("string"), F.lit(" was first")
    )
    return judged.select(
        *names,
        "_object",
        "_line",
        "_partition",
        "raw",
        verdict.alias("verdict"),
        ((verdict == "inserted") & F.col("_stored").isNull()).alias("fresh"),
        F.when(verdict == "quarantined", F.coalesce("reason", conflict)).alias("reason"),
    )


def _row(names: list[str]) -> Column:
    return F.struct(F.struct(*names).alias("content"), "_object", "_line")


def _quarantine(lake: Lake, event: EventType, run: str) -> None:
    query = f"""
        MERGE INTO {{table}} t
        USING (
          SELECT '{event.name}' AS event, _object, _line, reason, raw, {literal(run)} AS run
          FROM judged_{event.name} WHERE verdict = 'quarantined'
        ) s
        ON t.event = '{event.name}' AND t._object = s._object AND t._line = s._line
        WHEN NOT MATCHED THEN INSERT *
        """
    commit(lambda: lake.sql(query, "quarantine.records"))
    fault.after(lake.settings, f"quarantine:{event.name}")


def _insert(lake: Lake, event: EventType, low: int, high: int) -> None:
    names = ", ".join([*SILVER[event.name].names, *ORIGIN])
    query = f"""
        MERGE INTO {{table}} t
        USING (SELECT {names} FROM judged_{event.name} WHERE fresh) s
        ON t.ind = s.ind AND t.ind BETWEEN {low} AND {high}
        WHEN NOT MATCHED THEN INSERT *
        """
    commit(lambda: lake.sql(query, f"silver.{event.name}"))
    fault.after(lake.settings, f"silver:{event.name}")


def main() -> None:
    """Run the step alone."""
    run_alone(
        __doc__,
        lambda lake, lease, options: load(lake, EVENT_BY_NAME[options.event], lease.run),
        lambda parser: parser.add_argument("--event", required=True, choices=list(EVENT_BY_NAME)),
    )


if __name__ == "__main__":
    main()
