"""Records as Arrow columns, and the rows that Spark gets of them: Databricks' columns in Databricks' order."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

SCHEMA = (
    "partitionKey string, data binary, stream string, shardId string, sequenceNumber string, "
    "approximateArrivalTimestamp timestamp"
)
COLUMNS = tuple(column.split()[0] for column in SCHEMA.split(","))
_ARRIVAL = pa.timestamp("us", tz="UTC")
_KEPT = pa.schema([
    ("partitionKey", pa.string()),
    ("data", pa.binary()),
    ("sequenceNumber", pa.string()),
    ("approximateArrivalTimestamp", _ARRIVAL),
])  # fmt: skip
_ROWS = pa.schema([
    ("partitionKey", pa.string()),
    ("data", pa.binary()),
    ("stream", pa.string()),
    ("shardId", pa.string()),
    ("sequenceNumber", pa.string()),
    ("approximateArrivalTimestamp", _ARRIVAL),
])  # fmt: skip


@dataclass
class Records:
    """What a GetRecords gave, column by column; times in microseconds of the epoch."""

    keys: list[str]
    data: list[bytes]
    sequences: list[str]
    arrivals: list[int]

    @staticmethod
    def of(records: list[dict[str, Any]]) -> "Records":
        """Return boto3's records as columns."""
        return Records(
            [record["PartitionKey"] for record in records],
            [record["Data"] for record in records],
            [record["SequenceNumber"] for record in records],
            [round(record["ApproximateArrivalTimestamp"].timestamp() * 1000) * 1000 for record in records],
        )

    def __len__(self) -> int:
        return len(self.sequences)

    def drop(self, count: int) -> "Records":
        """Return the records without the first `count`."""
        return Records(self.keys[count:], self.data[count:], self.sequences[count:], self.arrivals[count:])


@dataclass(frozen=True)
class Chunk:
    """Records of a shard that follow each other, as a batch of Arrow."""

    batch: pa.RecordBatch

    @staticmethod
    def of(records: Records) -> "Chunk":
        """Return at least one record as a chunk."""
        arrivals = pa.array(records.arrivals, pa.int64()).cast(_ARRIVAL)
        columns = [
            pa.array(records.keys, pa.string()),
            pa.array(records.data, pa.binary()),
            pa.array(records.sequences, pa.string()),
            arrivals,
        ]
        return Chunk(pa.RecordBatch.from_arrays(columns, schema=_KEPT))

    @property
    def count(self) -> int:
        """How many records of Kinesis these are."""
        return int(self.batch.num_rows)

    @property
    def nbytes(self) -> int:
        """What it takes of memory."""
        return int(self.batch.nbytes)

    @property
    def first(self) -> str:
        """The first record's sequence number."""
        return str(self.batch.column(2)[0])

    @property
    def last(self) -> str:
        """The last record's sequence number."""
        return str(self.batch.column(2)[self.batch.num_rows - 1])

    @property
    def arrived_ms(self) -> int:
        """When the last record arrived."""
        return int(self.batch.column(3)[self.batch.num_rows - 1].value) // 1000

    def head(self, count: int) -> "Chunk":
        """Return the first `count` records."""
        return Chunk(self.batch.slice(0, count))

    def tail(self, count: int) -> "Chunk":
        """Return what is left without the first `count` records."""
        return Chunk(self.batch.slice(count))

    def upto(self, sequence: str) -> int:
        """Return how many records have a sequence number up to `sequence`."""
        column, wanted = self.batch.column(2), int(sequence)
        low, high = 0, len(column)
        while low < high:
            middle = (low + high) // 2
            if int(str(column[middle])) <= wanted:
                low = middle + 1
            else:
                high = middle
        return low


def pack(chunks: Iterable[Chunk]) -> pa.Buffer:
    """Return chunks as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _KEPT) as writer:
        for chunk in chunks:
            writer.write_batch(chunk.batch)
    return sink.getvalue()


def unpack(source: Any) -> Iterable[Chunk]:
    """Return the chunks of an Arrow stream: bytes, or a file that is open."""
    with pa.ipc.open_stream(source) as reader:
        for batch in reader:
            yield Chunk(batch)


def rows(chunk: Chunk, stream: str, shard: str) -> pa.RecordBatch:
    """Return a chunk with all columns, as Spark takes it."""
    key, data, sequence, arrival = chunk.batch.columns
    count = chunk.batch.num_rows
    return pa.RecordBatch.from_arrays(
        [key, data, pa.repeat(stream, count), pa.repeat(shard, count), sequence, arrival], schema=_ROWS
    )
