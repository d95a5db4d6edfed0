"""The streaming side's tables: their shapes, and what is written to them. The stream process is their only writer."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse.schemas import SILVER
from lakehouse.stream.keys import KeyIndex
from lakehouse.tables import Lake, existing, side_by_side
from pinline.events import EVENTS, EventName, EventType

QUARANTINE = "stream.quarantine"
_PLACE = ("event", "shard", "sequence", "raw")
_PROPERTIES = {
    # a table's log gets an entry a batch: 10 entries between two checkpoints would be one every few seconds
    "delta.checkpointInterval": "50",
    "delta.dataSkippingNumIndexedCols": "1",
}


def table(lake: Lake, event: EventType) -> str:
    """Return the name of an event's table."""
    return f"stream.{event.stream_table(lake.settings.user_id)}"


def shapes(lake: Lake) -> dict[str, str]:
    """Return the columns (DDL) of each table that the three streams fill."""
    columns = {table(lake, event): SILVER[event.name].stream_ddl for event in EVENTS}
    return {**columns, QUARANTINE: "event STRING, shard STRING, sequence STRING, reason STRING, raw STRING"}


def create(lake: Lake, shapes: dict[str, str]) -> None:
    """Create the tables that are missing."""
    found = {f"stream.{name}" for name in existing(lake, "stream")}
    properties = ", ".join(f"'{name}' = '{value}'" for name, value in _PROPERTIES.items())
    side_by_side(
        lambda name: lake.sql(
            f"CREATE TABLE IF NOT EXISTS {{table}} ({shapes[name]}) USING DELTA TBLPROPERTIES ({properties})", name
        ),
        [name for name in shapes if name not in found],
    )


def content(event: EventType) -> Column:
    """Return a digest of a row's silver columns. Whether a column is null counts: hashes pass nulls over."""
    columns = [F.col(f"`{name}`") for name in SILVER[event.name].names]
    return F.xxhash64(*columns, *(column.isNull() for column in columns)).alias("content")


def known_keys(lake: Lake, event: EventType) -> KeyIndex:
    """Read the keys and digests of an event's table."""
    rows = lake.read(table(lake, event)).select("ind", content(event)).toArrow()
    return KeyIndex(rows["ind"].to_numpy(), rows["content"].to_numpy())


def known(lake: Lake) -> dict[EventName, KeyIndex]:
    """Read the keys and digests of all tables."""
    with ThreadPoolExecutor(len(EVENTS)) as pool:
        found = pool.map(lambda event: known_keys(lake, event), EVENTS)
        return {event.name: keys for event, keys in zip(EVENTS, found, strict=True)}


def frame(spark: SparkSession, rows: pa.Table) -> DataFrame:
    """Return Arrow rows as a DataFrame.

    In one chunk: Spark 4.2.0 takes an empty chunk in the middle for the end of the table, and drops what follows.
    """
    return spark.createDataFrame(rows.combine_chunks())


def query_id(spark: SparkSession) -> str:
    """Return the id of the query whose batch this thread writes: a new one after a new checkpoint."""
    found = spark.sparkContext.getLocalProperty("sql.streaming.queryId")
    if found is None:
        raise RuntimeError("this is not a batch of a streaming query")
    return str(found)


def append(lake: Lake, spark: SparkSession, name: str, rows: pa.Table) -> None:
    """Append rows to a table as one file."""
    _write(lake, name, frame(spark, rows))


def quarantine(lake: Lake, spark: SparkSession, rows: pa.Table, application: str, version: int) -> None:
    """Append rows to the quarantine, unless (`application`, `version`) did so before, without those that it holds.

    The second guard is for records that are read again after `make stream-reset`.
    """
    new = frame(spark, rows)
    held = spark.read.format("delta").load(lake.path(QUARANTINE)).select(*_PLACE)
    same = [new[name].eqNullSafe(held[name]) for name in _PLACE]
    found = new.join(held, same, "left_anti")
    _write(lake, QUARANTINE, found, txnAppId=application, txnVersion=str(version))


def _write(lake: Lake, name: str, rows: DataFrame, **options: str) -> None:
    rows.coalesce(1).write.format("delta").mode("append").options(**options).save(lake.path(name))
