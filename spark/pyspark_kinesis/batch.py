"""The reader of `spark.read`: every shard that is kept, from `initialPosition` to the tip. A task a shard."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.datasource import DataSourceReader, InputPartition

from pyspark_kinesis.client import Kinesis, patiently
from pyspark_kinesis.fetch import fetch_until
from pyspark_kinesis.offsets import Position
from pyspark_kinesis.options import Options, stream_name
from pyspark_kinesis.prefetch import now_ms
from pyspark_kinesis.rows import rows


@dataclass
class ShardPartition(InputPartition):
    """A shard, to be read up to what arrived until `until_ms`."""

    stream: str
    shard: str
    until_ms: int


class KinesisBatchReader(DataSourceReader):
    """What Spark calls for a batch query."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def partitions(self) -> list[InputPartition]:
        """Return the shards, open and closed."""
        kinesis = Kinesis(self._options)
        until_ms = now_ms()
        return [
            ShardPartition(stream, shard.id, until_ms)
            for stream in self._options.streams
            for shard in patiently(lambda stream=stream: kinesis.shards(stream))  # type: ignore[misc]
        ]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield a shard's rows."""
        assert isinstance(partition, ShardPartition)  # noqa: S101
        initial = self._options.begin_at
        start = Position(start=initial.kind, at_ms=initial.at_ms)
        found = fetch_until(
            Kinesis(self._options), self._options, partition.stream, partition.shard, start, partition.until_ms
        )
        for chunk in found:
            yield rows(chunk.batch, stream_name(partition.stream), partition.shard)
