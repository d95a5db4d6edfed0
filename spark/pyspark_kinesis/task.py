"""What runs in Spark's tasks: rows of a partition, from where they were left or from Kinesis."""

from collections.abc import Iterator

import pyarrow as pa

from pyspark_kinesis.client import Kinesis
from pyspark_kinesis.fetch import fetch_range
from pyspark_kinesis.options import Options, stream_name
from pyspark_kinesis.rows import rows, unpack
from pyspark_kinesis.spool import KinesisPartition, Slice


def read_partition(options: Options, partition: KinesisPartition) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all slices, a shard's in its order."""
    for part in partition.slices:
        for batch in _batches(options, part):
            yield rows(batch, stream_name(part.wanted.stream), part.wanted.shard)


def _batches(options: Options, part: Slice) -> Iterator[pa.RecordBatch]:
    if part.inline is not None:
        yield from unpack(part.inline)
        return
    if part.path is not None:
        try:
            file = pa.memory_map(part.path)
        except OSError:  # another machine, a restart, or another user
            pass
        else:
            with file:
                yield from unpack(file)
            return
    for chunk in fetch_range(Kinesis(options), options, part.wanted):
        yield chunk.batch
