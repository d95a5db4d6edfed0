"""What runs in Spark's tasks: rows of a partition, from where they were left or from Kinesis."""

from collections.abc import Iterator

import pyarrow as pa

from pyspark_kinesis.client import Kinesis
from pyspark_kinesis.fetch import fetch_range
from pyspark_kinesis.options import Options, stream_name
from pyspark_kinesis.rows import Chunk, rows, unpack
from pyspark_kinesis.spool import KinesisPartition, Slice


def read_partition(options: Options, partition: KinesisPartition) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all slices, a shard's in its order."""
    for part in partition.slices:
        for chunk in _chunks(options, part):
            yield rows(chunk, stream_name(part.wanted.stream), part.wanted.shard)


def _chunks(options: Options, part: Slice) -> Iterator[Chunk]:
    if part.inline is not None:
        yield from unpack(part.inline)
        return
    if part.path is not None:
        try:
            file = pa.memory_map(part.path)
        except FileNotFoundError:
            pass
        else:
            with file:
                yield from unpack(file)
            return
    yield from fetch_range(Kinesis(options), options, part.wanted)
