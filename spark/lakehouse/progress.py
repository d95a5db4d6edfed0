"""`ops.progress`: how far the objects of each partition are in silver, and what was in them.

A row a chunk and partition, appended: the largest key of a partition is how far it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import fault
from lakehouse.tables import Lake
from pinline.events import EVENTS, EventName


@dataclass(frozen=True)
class Counts:
    """Rows read, by what became of them."""

    inserted: int = 0
    duplicate: int = 0
    quarantined: int = 0

    @property
    def read(self) -> int:
        """All rows."""
        return self.inserted + self.duplicate + self.quarantined

    @classmethod
    def of(cls, verdict: str, rows: int) -> "Counts":
        """Return `rows` of one verdict: `inserted`, `duplicate` or `quarantined`."""
        return cls(**{verdict: rows})

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.inserted + other.inserted, self.duplicate + other.duplicate, self.quarantined + other.quarantined
        )

    def __str__(self) -> str:
        return (
            f"{self.read:,} rows, {self.inserted:,} inserted, {self.duplicate:,} duplicate, "
            f"{self.quarantined:,} quarantined"
        )


@dataclass(frozen=True)
class Progress:
    """How far silver is."""

    last_objects: dict[EventName, dict[int, str]]
    """Of each partition of an event the key of the last object that is in silver."""
    rows: int
    """How many rows were read in all."""


@dataclass(frozen=True)
class Chunk:
    """Objects of an event that are in silver."""

    event: EventName
    last_objects: Mapping[int, str]
    """Of each partition the key of the last one."""
    counts: Mapping[int, Counts]
    """What became of each partition's rows."""


def look(lake: Lake) -> Progress:
    """Return how far silver is."""
    each = lake.read("ops.progress").groupBy("event", "partition")
    rows = each.agg(F.max("last_object").alias("key"), F.sum("rows_read").alias("rows")).collect()
    last_objects: dict[EventName, dict[int, str]] = {event.name: {} for event in EVENTS}
    for row in rows:
        last_objects[row.event][row.partition] = row.key
    return Progress(last_objects, sum(row.rows for row in rows))


def advance(lake: Lake, run: str, chunks: Iterable[Chunk]) -> None:
    """Write that `chunks` are done, all of them in one commit."""
    done = list(chunks)
    rows = [
        (chunk.event, partition, key, run, n.read, n.inserted, n.duplicate, n.quarantined)
        for chunk in done
        for partition, key in chunk.last_objects.items()
        for n in [chunk.counts[partition]]
    ]
    columns = (
        "event string, partition int, last_object string, run string, "
        "rows_read bigint, rows_inserted bigint, rows_duplicate bigint, rows_quarantined bigint"
    )
    lake.append("ops.progress", rows, columns, "written_at")
    for chunk in done:
        fault.after(lake.settings, f"progress:{chunk.event}")
