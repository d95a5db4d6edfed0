"""The reader of `readStream`: it lives in one process as long as the query does, and reads ahead there.

Delivery: exactly once into the offset log. A batch is the records that its end offset names, however often and
wherever it is read; after a restart reading goes on *after* each shard's last record.
"""

import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxBytes,
    ReadMaxRows,
    SupportsTriggerAvailableNow,
)

from pyspark_kinesis import resume
from pyspark_kinesis.client import Kinesis
from pyspark_kinesis.frontier import Limit, next_end
from pyspark_kinesis.offsets import Offset, from_json, ranges, to_json
from pyspark_kinesis.options import Options
from pyspark_kinesis.prefetch import Prefetch, now_ms
from pyspark_kinesis.rows import Chunk
from pyspark_kinesis.spool import KinesisPartition, Spool
from pyspark_kinesis.task import read_partition
from pyspark_kinesis.watch import Watch

_WAIT_SECONDS = 0.2


class KinesisStreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """What Spark calls. Pickled for tasks, it is only its options."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._kinesis: Kinesis | None = None
        self._prefetch: Prefetch | None = None
        self._beginning = resume.Beginning()
        self._watch: Watch | None = None
        self._given: Offset | None = None
        self._offset: Offset = {}
        self._spool = Spool()
        self._until_ms: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return KinesisStreamReader, (self._options,)

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802
        """Return where a query without a checkpoint begins."""
        self._beginning = resume.begin(self._client(), self._options)
        return to_json(self._beginning.offset)

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """Return the limit of the options; without one, what is read ahead at most."""
        if self._options.records_per_trigger is not None:
            return ReadMaxRows(self._options.records_per_trigger)
        return ReadMaxBytes(self._options.bytes_per_trigger or self._options.buffer_bytes)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Read to what is each shard's tip from now on, and no further."""
        self._until_ms = now_ms()

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:  # noqa: N802
        """Return the last record that was read ahead, within `limit`; `start` if there is none.

        It waits a moment for one, so that an idle query isn't a busy loop; after `prepareForTriggerAvailableNow`
        until there is one or all is read.
        """
        everything = isinstance(limit, ReadAllAvailable)
        if everything and self._until_ms is None:  # trigger(once=True): one batch up to the tip
            self._until_ms = now_ms()
        prefetch = self._reading_from(from_json(start), bounded=not everything)
        wait = _WAIT_SECONDS if self._until_ms is None else self._options.fetch_duration
        deadline = time.monotonic() + wait
        with prefetch.changed:
            while prefetch.error is None:
                left = deadline - time.monotonic()
                finished = self._until_ms is not None and prefetch.finished()
                if self._until_ms is None or finished or (not everything and (left <= 0 or prefetch.half_full)):
                    end = self._next_end(prefetch, _limit(limit))
                    if end is not None:
                        return to_json(end)
                    if finished or (self._until_ms is None and left <= 0):
                        return start
                prefetch.changed.wait(max(left, 0.01) if left > 0 else wait)
            raise prefetch.error

    def reportLatestOffset(self) -> dict[str, Any] | None:  # noqa: N802
        """Return how far was read ahead, for the query's progress."""
        if self._prefetch is None:
            return None
        with self._prefetch.changed:
            return to_json(self._next_end(self._prefetch, Limit()) or self._offset)

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[KinesisPartition]:
        """Return a batch: its records as far as they are here, else where to fetch them."""
        found: list[tuple[Any, list[Chunk] | None]] = []
        for wanted in ranges(from_json(start), from_json(end)):
            chunks = None
            if self._prefetch is not None:
                with self._prefetch.changed:
                    buffer = self._prefetch.buffers.get((wanted.stream, wanted.shard))
                    chunks = buffer.between(wanted) if buffer is not None else None
            found.append((wanted, chunks))
        return self._spool.partitions(found)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield a partition's rows; runs in a task."""
        assert isinstance(partition, KinesisPartition)  # noqa: S101
        return read_partition(self._options, partition)

    def commit(self, end: dict[str, Any]) -> None:
        """Nothing to do: `latestOffset` is told what was processed before this is."""

    def stop(self) -> None:
        """End reading ahead and delete the batch files."""
        self._stop_reading()
        self._spool.close()

    def _client(self) -> Kinesis:
        if self._kinesis is None:
            self._kinesis = Kinesis(self._options)
        return self._kinesis

    def _reading_from(self, offset: Offset, *, bounded: bool) -> Prefetch:
        """Return the buffers with only what lies after `offset`; reading begins there if it doesn't go on there."""
        wanted = self._offset if offset == self._given else offset
        if self._prefetch is not None:
            with self._prefetch.changed:
                if self._prefetch.release(wanted):
                    if wanted != self._offset:
                        self._spool.drop()
                    self._given, self._offset = offset, wanted
                    return self._prefetch
            self._stop_reading()
        client = self._client()
        if offset != self._beginning.offset:
            self._beginning = resume.resume(client, self._options, offset)
        self._given, self._offset = offset, self._beginning.offset
        watch = Watch(client, self._options, self._beginning.offset, self._beginning.states)
        prefetch = Prefetch(client, self._options, watch.judge_loss, bounded=bounded)
        prefetch.until_ms = self._until_ms
        watch.start(prefetch)
        prefetch.start(self._beginning.offset, self._beginning.shards, self._beginning.iterators)
        self._watch, self._prefetch = watch, prefetch
        return prefetch

    def _next_end(self, prefetch: Prefetch, limit: Limit) -> Offset | None:
        assert self._watch is not None  # noqa: S101
        return next_end(self._offset, prefetch.buffers, prefetch.known, limit, self._watch.stale_before())

    def _stop_reading(self) -> None:
        if self._prefetch is not None:
            self._prefetch.stop()
        if self._watch is not None:
            self._watch.stop()
        self._prefetch = self._watch = None


def _limit(limit: ReadLimit) -> Limit:
    if isinstance(limit, ReadMaxRows):
        return Limit(records=limit.max_rows)
    if isinstance(limit, ReadMaxBytes):
        return Limit(size=limit.max_bytes)
    return Limit()
