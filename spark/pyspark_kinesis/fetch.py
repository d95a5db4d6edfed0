"""Ranges read from Kinesis itself, in a task: after a restart, on another machine, and in batch queries."""

import time
from collections.abc import Iterator

from pyspark_kinesis import losses
from pyspark_kinesis.client import Kinesis, backoff, patiently
from pyspark_kinesis.cursor import Cursor, Found
from pyspark_kinesis.errors import UnreachableError
from pyspark_kinesis.offsets import Position, Range
from pyspark_kinesis.options import Options
from pyspark_kinesis.resume import check_same
from pyspark_kinesis.rows import Chunk
from pyspark_kinesis.shards import Shard, lineage

_SLACK_MS = 5_000


def fetch_range(kinesis: Kinesis, options: Options, wanted: Range) -> Iterator[Chunk]:
    """Yield a range's records. Fewer than there were: DataLossError, or a warning by `failOnDataLoss`."""
    check_same(wanted.stream, wanted.created_ms, patiently(lambda: kinesis.state(wanted.stream)))
    first = Position(first=wanted.first, last=wanted.first)
    cursor = Cursor(kinesis, options, wanted.stream, wanted.shard, first, inclusive=True)
    count = 0
    last = int(wanted.last)
    while True:
        found = _next(cursor)
        if len(found.records):
            chunk = Chunk.of(found.records, lambda: _hashes(kinesis, wanted.stream, wanted.shard))
            chunk = chunk.head(chunk.upto(wanted.last))
            count += chunk.count
            if chunk.count:
                yield chunk
            if int(found.records.sequences[-1]) >= last:
                break
        if found.tip:
            break
    if count < wanted.count:
        losses.report(
            wanted.stream,
            wanted.shard,
            first,
            f"of {wanted.count} records up to {wanted.last}, {wanted.count - count} are gone",
            fail=options.fail_on_data_loss,
        )


def fetch_until(
    kinesis: Kinesis, options: Options, stream: str, shard: str, start: Position, until_ms: int
) -> Iterator[Chunk]:
    """Yield a shard's records from `start` to what is the tip now, or to records that arrived after `until_ms`."""
    cursor = Cursor(kinesis, options, stream, shard, start)
    while True:
        found = _next(cursor)
        if len(found.records):
            chunk = Chunk.of(found.records, lambda: _hashes(kinesis, stream, shard))
            yield chunk
            if chunk.arrived_ms > until_ms + _SLACK_MS:
                return
        if found.tip:
            return


def _next(cursor: Cursor, patience: float = 300.0) -> Found:
    """Return the next answer, when its time has come; tries again for `patience` seconds."""
    deadline = time.monotonic() + patience
    for pause in backoff():
        time.sleep(cursor.wait)
        try:
            return cursor.fetch()
        except UnreachableError:
            if time.monotonic() > deadline:
                raise
        time.sleep(pause)
    raise AssertionError


def _hashes(kinesis: Kinesis, stream: str, shard: str) -> tuple[int, int]:
    known = lineage(patiently(lambda: kinesis.shards(stream)))
    return known.get(shard, Shard(shard)).hashes
