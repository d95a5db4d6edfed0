"""Versions: which silver versions last changed rows, and of which the published answers are."""

from concurrent.futures import ThreadPoolExecutor

from pyspark.sql import Row
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse.lease import Versions
from lakehouse.tables import QUESTIONS, Lake
from pinline.events import EVENTS

_KEEPS_ROWS = ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES")
_CHANGED = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted")


def last_changes(lake: Lake) -> Versions:
    """Return for each event the version of its silver table that last changed rows."""
    with ThreadPoolExecutor(len(EVENTS)) as pool:
        versions = pool.map(lambda event: _last_change(lake, f"silver.{event.name}"), EVENTS)
        return {event.name: version for event, version in zip(EVENTS, versions, strict=True)}


def published(lake: Lake) -> dict[str, Versions]:
    """Return the silver versions of each published answer."""
    latest = F.max_by(F.struct(*(f"{event.name}_version" for event in EVENTS)), "published_at").alias("versions")
    rows = lake.read("ops.published").groupBy("question").agg(latest).collect()
    return {row.question: {event.name: row.versions[f"{event.name}_version"] for event in EVENTS} for row in rows}


def publications(lake: Lake) -> int:
    """Return how often answers were published."""
    return lake.read("ops.published").where(F.col("question") == QUESTIONS[0]).count()


def is_by(lake: Lake, run: str) -> bool:
    """Whether run `run` has published answers."""
    return not lake.read("ops.published").where(F.col("run") == run).isEmpty()


def is_current(published_versions: dict[str, Versions], versions: Versions) -> bool:
    """Whether every answer is published for `versions`."""
    return all(published_versions.get(question) == versions for question in QUESTIONS)


def record(lake: Lake, run: str, versions: Versions) -> None:
    """Write that every answer in `gold` is of `versions`."""
    names = [f"{event.name}_version" for event in EVENTS]
    rows = [(question, *(versions[event.name] for event in EVENTS), run) for question in QUESTIONS]
    columns = ", ".join(["question string", *(f"{name} bigint" for name in names), "run string"])
    lake.append("ops.published", rows, columns, "published_at")


def _last_change(lake: Lake, table: str) -> int:
    for limit in ("LIMIT 10", ""):
        rows = (
            lake.sql(f"DESCRIBE HISTORY {{table}} {limit}", table)
            .select("version", "operation", "operationMetrics")
            .collect()
        )
        for row in rows:
            if _changes_rows(row):
                return int(row.version)
    return int(rows[-1].version)


def _changes_rows(commit: Row) -> bool:
    if commit.operation == "MERGE":
        return any(int(commit.operationMetrics.get(name, 0)) for name in _CHANGED)
    return commit.operation not in _KEEPS_ROWS
