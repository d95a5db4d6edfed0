"""One micro-batch: read it once, clean it, decide about each record, write quarantine and then the three tables.

Records become a local relation, which Spark's optimizer cleans by itself: no job but the source's and one a write.
Rows are taken in the order of arrival, shard and sequence number, so a batch that is repeated decides the same.
"""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import fault
from lakehouse.cleaning import Cleaning
from lakehouse.progress import Counts
from lakehouse.schemas import NOT_TEXT
from lakehouse.stream import store
from lakehouse.stream.keys import KeyIndex
from lakehouse.stream.upkeep import Upkeep
from lakehouse.stream.verdicts import Verdicts, judge
from lakehouse.tables import Lake
from pinline.events import EVENTS, EventName, EventType

_SEQUENCE_DIGITS = 128


@dataclass(frozen=True)
class Written:
    """What a batch did."""

    counts: dict[EventName, Counts]
    seconds: float
    oldest: float | None
    """When the batch's first record arrived, in seconds of the epoch; None in an empty batch."""
    newest: float | None = None


@dataclass
class BatchWriter:
    """Writes micro-batches. `keys` is what the tables hold, and is kept up with what is written."""

    lake: Lake
    keys: dict[EventName, KeyIndex]
    upkeep: Upkeep
    _cleaning: dict[EventName, Cleaning] = field(init=False)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._cleaning = {event.name: Cleaning(event) for event in EVENTS}
        self._pool = ThreadPoolExecutor(len(EVENTS), thread_name_prefix="event")

    def write(self, batch: DataFrame, number: int) -> Written:
        """Write a batch of Kinesis records; `number` is the query's."""
        started = time.monotonic()
        records = _ordered(
            batch.select("stream", "shardId", "sequenceNumber", "approximateArrivalTimestamp", "data").toArrow()
        )
        settings, spark = self.lake.settings, batch.sparkSession
        fault.after(settings, "stream:read")
        if not len(records):
            return Written({}, time.monotonic() - started, None)
        verdicts = list(self._pool.map(lambda event: self._judge(spark, event, records), EVENTS))
        quarantined = pa.concat_tables(found.quarantined for found in verdicts)
        if len(quarantined):
            with self.upkeep.lock:
                store.quarantine(self.lake, spark, quarantined, store.query_id(spark), number)
            self.upkeep.added(store.QUARANTINE)
            fault.after(settings, "stream:quarantine")
        list(self._pool.map(lambda found: self._insert(spark, found), verdicts))
        fault.after(settings, "stream:batch")
        arrived = records["arrived"]
        return Written(
            {found.event.name: found.counts for found in verdicts},
            time.monotonic() - started,
            *(pc.cast(end, pa.int64()).as_py() / 1e6 for end in (arrived[0], arrived[-1])),
        )

    def warm_up(self) -> None:
        """Clean a record of each event for nothing: what Spark loads for that would hold up the first batch."""
        streams = [event.stream(self.lake.settings.user_id) for event in EVENTS]
        text = pa.array(["0"] * len(EVENTS))
        arrived = pa.array([0] * len(EVENTS), pa.timestamp("us", "UTC"))
        columns = {
            "stream": streams,
            "shard": text,
            "sequence": text,
            "arrived": arrived,
            "data": [b"{}"] * len(EVENTS),
        }
        records = pa.table(columns)
        list(self._pool.map(lambda event: self._judge(self.lake.spark, event, records), EVENTS))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _judge(self, spark: SparkSession, event: EventType, records: pa.Table) -> Verdicts:
        mine = records.filter(pc.equal(records["stream"], event.stream(self.lake.settings.user_id)))
        raws, is_text = _texts(mine["data"])
        lines = pa.table(
            {
                "raw": raws,
                "_shard": mine["shard"],
                "_sequence": mine["sequence"],
                "_arrived": mine["arrived"],
                "is_text": is_text,
            }
        )
        cleaned = self._cleaning[event.name](store.frame(spark, lines))
        reason = F.when(F.col("is_text"), F.col("reason")).otherwise(F.lit(NOT_TEXT))
        cleaned = cleaned.withColumn("reason", reason).withColumn("content", store.content(event))
        return judge(event, cleaned.toArrow(), self.keys[event.name])

    def _insert(self, spark: SparkSession, found: Verdicts) -> None:
        if len(found.fresh):
            table = store.table(self.lake, found.event)
            store.append(self.lake, spark, table, found.fresh)
            self.upkeep.added(table)
            self.keys[found.event.name].add(found.keys, found.contents)
            fault.after(self.lake.settings, f"stream:{found.event.name}")


def _ordered(records: pa.Table) -> pa.Table:
    """Return the records by arrival, shard and sequence number, under short names."""
    renamed = records.rename_columns(["stream", "shard", "sequence", "arrived", "data"])
    place = pc.utf8_lpad(renamed["sequence"], _SEQUENCE_DIGITS, "0")
    keys = [("arrived", "ascending"), ("shard", "ascending"), ("place", "ascending")]
    return renamed.append_column("place", place).sort_by(keys).drop_columns(["place"])


def _texts(data: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return each record's text, and whether it has one: base64 stands for what is not UTF-8."""
    try:
        texts = pc.cast(data, pa.string())
    except pa.ArrowInvalid:
        values = [_text(value) for value in data.to_pylist()]
        return pa.array([text for text, _ in values], pa.string()), pa.array([known for _, known in values])
    return texts, pa.array([True] * len(data), pa.bool_())


def _text(value: bytes) -> tuple[str, bool]:
    try:
        return value.decode(), True
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), False
