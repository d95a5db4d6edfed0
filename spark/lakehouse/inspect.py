"""What the lake holds, for accounting and trace: Arrow tables and plain rows. Reads only."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import tables
from lakehouse.tables import Lake
from pinline.events import EVENTS, EventName, EventType
from pinline.settings import Settings

Rows = list[dict[str, Any]]


def silver(settings: Settings, event: EventName) -> pa.Table:
    """Return all rows of a silver table: its columns, `_object`, `_line`."""
    lake = _open(settings)
    return lake.read(f"silver.{event}").toArrow()


def silver_places(settings: Settings) -> dict[EventName, pa.Table]:
    """Return for each event the columns `ind`, `_object`, `_line` of its silver rows."""
    lake = _open(settings)
    return {e.name: lake.read(f"silver.{e.name}").select("ind", "_object", "_line").toArrow() for e in EVENTS}


def quarantine(settings: Settings) -> dict[EventName, pa.Table]:
    """Return for each event the columns `_object`, `_line`, `reason`, `key` of its quarantined lines; `key` is the
    event key as text, null when the line has none that can be read."""
    lake = _open(settings)
    columns = ("_object", "_line", "reason")
    return {e.name: _quarantined(lake, e).select(*columns, _raw_key(e).alias("key")).toArrow() for e in EVENTS}


def quarantined_lines(settings: Settings) -> Iterator[tuple[str, int, str]]:
    """Yield `_object`, `_line` and `raw` of every quarantined line, by object and line."""
    lake = _open(settings)
    rows = lake.read("quarantine.records").select("_object", "_line", "raw").orderBy("_object", "_line")
    for row in rows.toLocalIterator():
        yield row["_object"], row["_line"], row["raw"]


def stream_keys(settings: Settings) -> dict[EventName, pa.Table]:
    """Return for each event the column `ind` of its table of the streaming side; no rows if there is no such table."""
    lake = _open(settings)
    held = tables.existing(lake, "stream")
    names = {event.name: event.stream_table(settings.user_id) for event in EVENTS}
    return {
        event: lake.read(f"stream.{name}").select("ind").toArrow()
        if name in held
        else pa.table({"ind": pa.array([], pa.int64())})
        for event, name in names.items()
    }


def stream_quarantine(settings: Settings) -> dict[EventName, pa.Table]:
    """Return for each event the columns `shard`, `sequence`, `content`, `key` of its quarantined records; `content` is
    a digest of the record, `key` the event key as text, null when the record has none that can be read."""
    lake = _open(settings)
    columns = ("shard", "sequence", F.sha1("raw").alias("content"))
    frames = {event.name: _stream_quarantined(lake, event).select(*columns, _raw_key(event)) for event in EVENTS}
    return {event: frame.toDF("shard", "sequence", "content", "key").toArrow() for event, frame in frames.items()}


def stream_event_rows(settings: Settings, ind: int) -> dict[EventName, tuple[Rows, Rows]]:
    """Return for each event its rows in the streaming side's table, and its quarantined records."""
    lake = _open(settings)
    held = tables.existing(lake, "stream")
    found: dict[EventName, tuple[Rows, Rows]] = {}
    for event in EVENTS:
        name = event.stream_table(settings.user_id)
        rows = _dicts(lake.read(f"stream.{name}").where(F.col("ind") == ind)) if name in held else []
        records = _stream_quarantined(lake, event).where(_raw_key(event) == str(ind)).drop("event")
        found[event.name] = (rows, _dicts(records))
    return found


def stream_quarantined_records(settings: Settings) -> Iterator[dict[str, str]]:
    """Yield every row of `stream.quarantine`, by event, shard and sequence number."""
    lake = _open(settings)
    for event in EVENTS:
        for row in (
            _stream_quarantined(lake, event).orderBy("shard", F.length("sequence"), "sequence").toLocalIterator()
        ):
            yield row.asDict()


def live_events(settings: Settings) -> Rows:
    """Return the rows of `stream.live_events`, by minute; none if there is no such table."""
    lake = _open(settings)
    found = "live_events" in tables.existing(lake, "stream")
    return _dicts(lake.read("stream.live_events").orderBy("minute")) if found else []


def event_rows(settings: Settings, ind: int) -> dict[EventName, tuple[dict[str, Any] | None, Rows]]:
    """Return for each event its silver row (None if there is none) and its quarantined lines."""
    lake = _open(settings)
    found: dict[EventName, tuple[dict[str, Any] | None, Rows]] = {}
    for event in EVENTS:
        rows = _dicts(lake.read(f"silver.{event.name}").where(F.col("ind") == ind))
        quarantined = _dicts(_quarantined(lake, event).where(_raw_key(event) == str(ind)).drop("event"))
        found[event.name] = (rows[0] if rows else None, quarantined)
    return found


def _open(settings: Settings) -> Lake:
    lake = tables.open_lake(settings)
    tables.create(lake)
    return lake


def _quarantined(lake: Lake, event: EventType) -> DataFrame:
    return lake.read("quarantine.records").where(F.col("event") == event.name)


def _stream_quarantined(lake: Lake, event: EventType) -> DataFrame:
    if "quarantine" not in tables.existing(lake, "stream"):
        return lake.spark.createDataFrame([], "event string, shard string, sequence string, reason string, raw string")
    return lake.read("stream.quarantine").where(F.col("event") == event.name)


def _raw_key(event: EventType) -> Column:
    return F.expr(f"try_variant_get(try_parse_json(raw), '$.{event.key_column}', 'string')")


def _dicts(frame: DataFrame) -> Rows:
    return [row.asDict(recursive=True) for row in frame.collect()]
