"""The lake: where its tables are, their shapes, and how people's SQL finds them.

Jobs name a table by its place in S3 (`Lake.ref`), which needs no catalog. There is no metastore: `register` gives names
(`gold.q1`) to every folder with a Delta log, in the catalog of the running server.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import logs
from lakehouse.logs import Log
from lakehouse.schemas import ORIGIN, SILVER
from lakehouse.session import get_spark
from pinline import aws
from pinline.events import EVENTS
from pinline.object_store import s3_errors
from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEMAS = ("silver", "quarantine", "ops", "gold_next", "gold", "stream", "notebook")
QUESTIONS = ("q1", "q2", "q3a", "q3b", "q4", "q5", "q6", "q7", "q8")

_VERSIONS = ", ".join(f"{event.name}_version BIGINT" for event in EVENTS)
_COUNTS = "rows_read BIGINT, rows_inserted BIGINT, rows_duplicate BIGINT, rows_quarantined BIGINT"
_TABLES: dict[str, tuple[str, str]] = {
    **{f"silver.{event.name}": (SILVER[event.name].ddl, "") for event in EVENTS},
    "quarantine.records": (
        f"event STRING, {', '.join(f'{n} {t}' for n, t in ORIGIN.items())}, reason STRING, raw STRING, run STRING",
        "PARTITIONED BY (event)",
    ),
    "ops.run": (
        f"run STRING, state STRING, started_at TIMESTAMP, ended_at TIMESTAMP, {_VERSIONS}, note STRING",
        "",
    ),
    "ops.progress": (
        f"event STRING, partition INT, last_object STRING, run STRING, written_at TIMESTAMP, {_COUNTS}",
        "PARTITIONED BY (event)",
    ),
    "ops.published": (f"question STRING, {_VERSIONS}, run STRING, published_at TIMESTAMP", ""),
    "ops.quality": (
        "run STRING, measured_at TIMESTAMP, event STRING, measure STRING, column_name STRING, value DOUBLE",
        "",
    ),
}

_WITH_SILVER = {"ops.progress", "ops.published"}
"""Their rows say what silver holds."""

_ATTEMPTS = 10
_CONFLICTS = (
    "DELTA_CONCURRENT",
    "DELTA_PROTOCOL_CHANGED",
    "DELTA_METADATA_CHANGED",
    "DELTA_TABLE_ALREADY_EXISTS",
    "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION",  # between CREATE TABLE's two looks another one created it
)


@dataclass(frozen=True)
class Lake:
    """A Spark session and the place of the tables."""

    spark: SparkSession
    settings: Settings

    @cached_property
    def s3(self) -> "S3Client":
        """An S3 client."""
        return aws.s3_client(self.settings)

    @property
    def root(self) -> str:
        """The folder of all schemas."""
        return f"s3a://{self.settings.bucket}/lake"

    def path(self, table: str) -> str:
        """Return the folder of a table such as `silver.pin`."""
        schema, _, name = table.partition(".")
        return f"{self.root}/{schema}/{name}"

    def ref(self, table: str) -> str:
        """Return how SQL names a table."""
        return f"delta.`{self.path(table)}`"

    def read(self, table: str, version: int | None = None) -> DataFrame:
        """Return a table, as of `version` if given."""
        reader = self.spark.read.format("delta")
        return (reader if version is None else reader.option("versionAsOf", version)).load(self.path(table))

    def keep(self, view: str, frame: DataFrame) -> DataFrame:
        """Return `frame` as a view that is kept in memory until `unpersist`: the server analyses its plan once, not in
        each query on it."""
        frame.createOrReplaceTempView(view)
        return self.spark.table(view).persist()

    def append(self, table: str, rows: Sequence[tuple[object, ...]], columns: str, stamp: str) -> None:
        """Append rows with `columns` (DDL), a file a partition; the column `stamp` gets the server's time."""
        frame = self.spark.createDataFrame(list(rows), columns).withColumn(stamp, F.current_timestamp())
        frame.coalesce(1).write.format("delta").mode("append").save(self.path(table))

    def sql(self, query: str, table: str) -> DataFrame:
        """Run SQL in which `{table}` is that table."""
        return self.spark.sql(query.replace("{table}", self.ref(table)))


def open_lake(settings: Settings) -> Lake:
    """Return the lake. Raises UnreachableError, or StateError when there is no bucket or no access to it."""
    lake = Lake(get_spark(settings), settings)
    with s3_errors(settings):
        lake.s3.list_objects_v2(Bucket=settings.bucket, Prefix="lake/", MaxKeys=1)
    return lake


def existing(lake: Lake, schema: str) -> set[str]:
    """Return the names of a schema's tables: the folders with a Delta log that can be read."""
    return {name for name, log in logs.found(lake.s3, lake.settings, schema).items() if log is Log.WHOLE}


def create(lake: Lake) -> None:
    """Create what is missing of silver, quarantine and ops, after what S3 has forgotten a part of is set aside."""
    found = _found(lake)
    of_no_use = _of_no_use(lake, found)
    if of_no_use:  # or another run was creating the tables meanwhile, and has filled them: only what stays so is so
        found = _found(lake)
        of_no_use = _of_no_use(lake, found)
    for table in of_no_use:
        del found[table]
        left = logs.set_aside(lake.s3, lake.settings, table)
        told = f"S3 has forgotten a part of the lake: {table} is made anew, and what was left of it is in {left}"
        print(told, file=sys.stderr)
    side_by_side(
        lambda table: commit(
            lambda: lake.sql(
                f"CREATE TABLE IF NOT EXISTS {{table}} ({_TABLES[table][0]}) USING DELTA {_TABLES[table][1]}", table
            )
        ),
        [table for table in _TABLES if table not in found],
    )


def _found(lake: Lake) -> dict[str, Log]:
    return {
        f"{schema}.{name}": log
        for schema in ("silver", "quarantine", "ops", "gold_next", "gold")
        for name, log in logs.found(lake.s3, lake.settings, schema).items()
    }


def _of_no_use(lake: Lake, found: Mapping[str, Log]) -> list[str]:
    """Return which of the tables `found` can't be gone on from.

    They stand for each other: silver that was forgotten behind a progress that was not would stay incomplete, and so
    would answers. Those are written without being created first, so their log may come after their data.
    """
    ours = {table: log for table, log in found.items() if table in _TABLES}
    broken = {table for table, log in ours.items() if log is not Log.WHOLE}
    broken |= {table for table, log in found.items() if log is Log.TRUNCATED}
    if not broken and any(f"silver.{event.name}" not in found for event in EVENTS):
        broken = {table for table in _WITH_SILVER & ours.keys() if not lake.read(table).isEmpty()}
    return sorted(broken | ours.keys()) if broken else []


def compact(lake: Lake) -> None:
    """Join the small files of the tables that every run appends to."""
    for table in ("ops.progress", "ops.published", "ops.quality"):
        lake.sql("OPTIMIZE {table}", table).collect()


def register(lake: Lake) -> None:
    """Give every table of the lake its name in the session's catalog, as `gold.q1`; names of other lakes go."""
    spark = lake.spark
    for schema in SCHEMAS:
        location = f"{lake.root}/{schema}"
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema} LOCATION '{location}'")
        if spark.catalog.getDatabase(schema).locationUri.rstrip("/") != location:
            spark.sql(f"DROP SCHEMA {schema} CASCADE")
            spark.sql(f"CREATE SCHEMA {schema} LOCATION '{location}'")
        shown = spark.sql(f"SHOW TABLES IN {schema}").collect()
        known = {row.tableName for row in shown if not row.isTemporary}
        found = existing(lake, schema)
        for name in sorted(known - {name.lower() for name in found}):
            spark.sql(f"DROP TABLE IF EXISTS {schema}.`{name}`")
        missing = [name for name in sorted(found) if name.lower() not in known and re.fullmatch(r"\w+", name)]
        side_by_side(
            lambda name, schema=schema: spark.sql(  # type: ignore[misc]
                f"CREATE TABLE IF NOT EXISTS {schema}.`{name}` USING DELTA LOCATION '{lake.path(f'{schema}.{name}')}'"
            ),
            missing,
        )


def use_notebook(lake: Lake) -> None:
    """Give the session the tables' names, and `notebook` as the schema of names without one: what people write by hand
    goes there, since every other schema belongs to one writer."""
    register(lake)
    lake.spark.sql("USE notebook")


def literal(text: str) -> str:
    """Return a text as SQL writes it. (Statements other than SELECT take no parameters.)"""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def side_by_side(work: Callable[[str], object], names: Iterable[str], threads: int = 4) -> None:
    """Do `work` for each name, several at once; the first error is raised."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, names))


def commit(write: Callable[[], DataFrame]) -> list[Row]:
    """Do a write, again when Delta refuses its commit because another one came first. Returns the write's result."""
    for attempt in range(_ATTEMPTS):
        try:
            return write().collect()
        except PySparkException as error:
            if attempt == _ATTEMPTS - 1 or not any(word in str(error) for word in _CONFLICTS):
                raise
    raise AssertionError
