"""Looks now and then whether each stream is still the one that is being read, and how long it keeps records."""

import logging
import threading

from pyspark_kinesis import losses
from pyspark_kinesis.client import Kinesis, StreamState
from pyspark_kinesis.errors import KinesisSourceError, UnreachableError
from pyspark_kinesis.offsets import Offset, Position
from pyspark_kinesis.options import Options
from pyspark_kinesis.prefetch import Prefetch, now_ms
from pyspark_kinesis.resume import check_same
from pyspark_kinesis.rows import Chunk

log = logging.getLogger("pyspark_kinesis")


class Watch:
    """A thread that asks for every stream's state each `shardFetchInterval`."""

    def __init__(self, kinesis: Kinesis, options: Options, offset: Offset, states: dict[str, StreamState]) -> None:
        self._kinesis = kinesis
        self._options = options
        self._created_ms = {stream: at.created_ms for stream, at in offset.items()}
        self._retention_ms = {stream: state.retention_ms for stream, state in states.items()}
        self._stopped = threading.Event()

    def start(self, prefetch: Prefetch) -> None:
        """Begin; what is found wrong goes to `prefetch`."""
        threading.Thread(target=self._look, args=(prefetch,), name="kinesis-watch", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def stale_before(self) -> dict[str, int]:
        """Return by stream when a position should have been confirmed: half a retention period ago."""
        return {stream: now_ms() - retention // 2 for stream, retention in self._retention_ms.items()}

    def judge_loss(self, stream: str, shard: str, position: Position, chunk: Chunk | None) -> None:
        """Report a loss, if it is one that the record at `position` isn't kept any more; `chunk` is the oldest kept."""
        if losses.may_be_lost(position, now_ms(), self._retention_ms[stream]):
            found = f"the oldest that is kept is {chunk.first}" if chunk is not None else "none is kept"
            losses.report(stream, shard, position, found, fail=self._options.fail_on_data_loss)

    def _look(self, prefetch: Prefetch) -> None:
        while not self._stopped.wait(self._options.shard_interval):
            for stream, created_ms in self._created_ms.items():
                try:
                    state = self._kinesis.state(stream)
                    check_same(stream, created_ms, state)
                except UnreachableError as error:
                    log.info("%s", error)
                except KinesisSourceError as error:
                    prefetch.fail(error)
                    return
                else:
                    self._retention_ms[stream] = state.retention_ms
