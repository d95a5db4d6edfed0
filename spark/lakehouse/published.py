"""Versions: which silver versions last changed rows, and of which the published answers are."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import logs
from lakehouse.lease import Versions
from lakehouse.logs import Commit
from lakehouse.tables import QUESTIONS, Lake
from pinline.errors import StateError
from pinline.events import EVENTS

_KEEPS_ROWS = ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES")
_CHANGED = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted")


@dataclass(frozen=True)
class Published:
    """What `ops.published` says of the answers in `gold`."""

    versions: dict[str, Versions]
    """Each answer's silver versions."""
    times: int
    """How often answers were published."""

    def are_of(self, versions: Versions) -> bool:
        """Whether every answer is published for `versions`."""
        return all(self.versions.get(question) == versions for question in QUESTIONS)


def last_changes(lake: Lake) -> Versions:
    """Return for each event the version of its silver table that last changed rows. Raises StateError if one has no
    log."""
    with ThreadPoolExecutor(len(EVENTS)) as pool:
        versions = pool.map(lambda event: _last_change(lake, f"silver.{event.name}"), EVENTS)
        return {event.name: version for event, version in zip(EVENTS, versions, strict=True)}


def published(lake: Lake) -> Published:
    """Return which answers are published."""
    latest = F.max_by(F.struct(*(f"{event.name}_version" for event in EVENTS)), "published_at").alias("versions")
    rows = lake.read("ops.published").groupBy("question").agg(latest, F.count("*").alias("times")).collect()
    return Published(
        {row.question: {event.name: row.versions[f"{event.name}_version"] for event in EVENTS} for row in rows},
        max((row.times for row in rows), default=0),
    )


def is_by(lake: Lake, run: str) -> bool:
    """Whether run `run` has published answers."""
    return not lake.read("ops.published").where(F.col("run") == run).isEmpty()


def record(lake: Lake, run: str, versions: Versions) -> None:
    """Write that every answer in `gold` is of `versions`."""
    names = [f"{event.name}_version" for event in EVENTS]
    rows = [(question, *(versions[event.name] for event in EVENTS), run) for question in QUESTIONS]
    columns = ", ".join(["question string", *(f"{name} bigint" for name in names), "run string"])
    lake.append("ops.published", rows, columns, "published_at")


def _last_change(lake: Lake, table: str) -> int:
    version = None
    for commit in logs.commits(lake.s3, lake.settings, table):
        version = commit.version
        if _changes_rows(commit):
            break
    if version is None:
        raise StateError(f"{table} has no log in {lake.path(table)}. Try: make batch")
    return version


def _changes_rows(commit: Commit) -> bool:
    if commit.operation == "MERGE":
        return any(int(commit.metrics.get(name, 0)) for name in _CHANGED)
    return commit.operation not in _KEEPS_ROWS
