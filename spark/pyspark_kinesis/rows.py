"""Records as Arrow columns, and the rows that Spark gets of them: Databricks' columns in Databricks' order."""

from base64 import b64decode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pyspark_kinesis.aggregated import MAGIC, take_apart
from pyspark_kinesis.errors import AggregationError

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

    keys: list[str | None]
    data: list[bytes]
    sequences: list[str]
    arrivals: list[int]

    @staticmethod
    def of(records: list[dict[str, Any]]) -> "Records":
        """Return records as columns, as they stand in GetRecords' JSON."""
        return Records(
            [record.get("PartitionKey") for record in records],
            [b64decode(record["Data"]) for record in records],
            [record["SequenceNumber"] for record in records],
            [round(record["ApproximateArrivalTimestamp"] * 1000) * 1000 for record in records],
        )

    def __len__(self) -> int:
        return len(self.sequences)

    def drop(self, count: int) -> "Records":
        """Return the records without the first `count`."""
        return Records(self.keys[count:], self.data[count:], self.sequences[count:], self.arrivals[count:])


@dataclass(frozen=True)
class Chunk:
    """Records of a shard that follow each other. A record is a row of `batch`, or several if it was aggregated.

    `sequences` and `arrivals` have an item a record; a record's rows end where `ends` says.
    """

    batch: pa.RecordBatch
    sequences: pa.Array
    arrivals: pa.Array
    ends: Sequence[int]

    @staticmethod
    def of(records: Records, hashes: Callable[[], tuple[int, int]]) -> "Chunk":
        """Return at least one record as a chunk; `hashes` gives the shard's range of hash keys.

        Raises AggregationError.
        """
        sequences = pa.array(records.sequences, pa.string())
        arrivals = pa.array(records.arrivals, pa.int64()).cast(_ARRIVAL)
        if not any(data.startswith(MAGIC) for data in records.data):
            columns = [pa.array(records.keys, pa.string()), pa.array(records.data, pa.binary()), sequences, arrivals]
            return Chunk(
                pa.RecordBatch.from_arrays(columns, schema=_KEPT), sequences, arrivals, range(1, len(records) + 1)
            )
        keys, data, at = _taken_apart(records, hashes())
        ends = [bisect_right(at, record) for record in range(len(records))]
        columns = [pa.array(keys, pa.string()), pa.array(data, pa.binary()), sequences.take(at), arrivals.take(at)]
        return Chunk(pa.RecordBatch.from_arrays(columns, schema=_KEPT), sequences, arrivals, ends)

    @property
    def count(self) -> int:
        """How many records of Kinesis these are."""
        return len(self.sequences)

    @property
    def nbytes(self) -> int:
        """What it takes of memory."""
        return int(self.batch.nbytes)

    @property
    def first(self) -> str:
        """The first record's sequence number."""
        return str(self.sequences[0])

    @property
    def last(self) -> str:
        """The last record's sequence number."""
        return str(self.sequences[self.count - 1])

    @property
    def arrived_ms(self) -> int:
        """When the last record arrived."""
        return int(self.arrivals[self.count - 1].value) // 1000

    def head(self, count: int) -> "Chunk":
        """Return the first `count` records."""
        rows = self._rows_of(count)
        return Chunk(
            self.batch.slice(0, rows), self.sequences.slice(0, count), self.arrivals.slice(0, count), self.ends[:count]
        )

    def tail(self, count: int) -> "Chunk":
        """Return what is left without the first `count` records."""
        rows = self._rows_of(count)
        ends = [end - rows for end in self.ends[count:]]
        return Chunk(self.batch.slice(rows), self.sequences.slice(count), self.arrivals.slice(count), ends)

    def upto(self, sequence: str) -> int:
        """Return how many records have a sequence number up to `sequence`."""
        return bisect_right(self.sequences, int(sequence), key=lambda found: int(str(found)))

    def _rows_of(self, count: int) -> int:
        return self.ends[min(count, self.count) - 1] if count and self.count else 0


def _taken_apart(records: Records, hashes: tuple[int, int]) -> tuple[list[str | None], list[bytes], list[int]]:
    """Return the keys and data of all user records, and for each the index of its record."""
    keys: list[str | None] = []
    found: list[bytes] = []
    at: list[int] = []
    for index, data in enumerate(records.data):
        try:
            users = take_apart(data, hashes)
        except ValueError as error:
            raise AggregationError(
                f"the record {records.sequences[index]} was aggregated by the Kinesis Producer Library and can't be "
                f"taken apart: {error}. Was it damaged by its producer?"
            ) from error
        if users is None:
            keys.append(records.keys[index])
            found.append(data)
            at.append(index)
        else:
            keys += [user.key for user in users]
            found += [user.data for user in users]
            at += [index] * len(users)
    return keys, found, at


def pack(chunks: Iterable[Chunk]) -> pa.Buffer:
    """Return chunks as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _KEPT) as writer:
        for chunk in chunks:
            writer.write_batch(chunk.batch)
    return sink.getvalue()


def unpack(source: Any) -> Iterator[pa.RecordBatch]:
    """Yield what was packed: from bytes, or from a file that is open."""
    with pa.ipc.open_stream(source) as reader:
        yield from reader


def rows(batch: pa.RecordBatch, stream: str, shard: str) -> pa.RecordBatch:
    """Return a chunk's batch with all columns, as Spark takes it."""
    key, data, sequence, arrival = batch.columns
    count = batch.num_rows
    return pa.RecordBatch.from_arrays(
        [key, data, pa.repeat(stream, count), pa.repeat(shard, count), sequence, arrival], schema=_ROWS
    )
