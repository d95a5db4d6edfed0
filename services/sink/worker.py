"""The poll loop: hands a group's partitions to writers, records to the writers, and their actions to threads.

The loop's thread alone uses the consumer. A writer's actions run one after the other in a pool thread, so that
partitions PUT in parallel and one that waits for S3 holds up no other; its records wait in Kafka (paused), and
polling goes on, so that the membership in the group survives a long outage.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import structlog
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata, TopicPartition

from sink.actions import Action, LogError, Surroundings, perform
from sink.metrics import Metrics
from sink.partition import PartitionWriter, Rules

log = structlog.get_logger("sink")
_POLL_MS, _IDLE_POLL_MS = 50, 250
"""How long a poll waits for records while a writer has something to do, and while none has."""
_ROUTINE_EVERY_S = 1.0
_SHUTDOWN_S = 10.0


class Topics(Protocol):
    """What the loop asks about topics (topics.TopicLog)."""

    def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Return the id of each topic that exists."""

    def log_start(self, topic: str, partition: int) -> int:
        """Return the first offset of a partition."""

    def log_end(self, topic: str, partition: int) -> int:
        """Return the offset after the last of a partition."""


class Worker(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Runs until told to stop. The consumer is subscribed with the worker as its listener."""

    def __init__(
        self,
        consumer: Any,
        topics: Topics,
        around: Surroundings,
        rules: Rules,
        metrics: Metrics,
        *,
        threads: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._topics = topics
        self._around = around
        self._rules = rules
        self._metrics = metrics
        self._clock = clock
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="s3")
        self._lock = threading.Lock()
        self._assigned: set[TopicPartition] = set()
        self._joined = False
        self._writers: dict[TopicPartition, PartitionWriter] = {}
        self._busy: set[TopicPartition] = set()
        self._wake = threading.Event()
        self._crash: BaseException | None = None
        self._routine_at = 0.0
        self._committed: dict[TopicPartition, int] = {}

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Keep new partitions from being fetched until S3 has told their position."""
        for where in assigned:
            self._park(where)
        with self._lock:
            self._assigned |= set(assigned)
            self._joined = True
        log.info("assigned", partitions=_names(assigned))

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Drop what is held of them."""
        with self._lock:
            self._assigned -= set(revoked)
            closed = [self._writers.pop(where, None) for where in revoked]
        for writer in filter(None, closed):
            writer.close()
        if closed:
            log.info("revoked", partitions=_names(revoked))

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Another member may own them already."""
        self.on_partitions_revoked(lost)

    def status(self) -> dict[str, Any]:
        """Return what `/readyz` shows; ready means assigned, every position known."""
        with self._lock:
            states = {f"{w.topic}-{w.partition}": w for w in self._writers.values()}
            ready = self._joined and len(states) == len(self._assigned)
        shown = {name: writer.state.value for name, writer in states.items()}
        errors = {name: writer.error for name, writer in states.items() if writer.error}
        return {"ready": ready and "locating" not in shown.values(), "partitions": shown, "errors": errors}

    def run(self, stop: threading.Event) -> None:
        """Read and write until `stop` is set, then write what is held."""
        while not stop.is_set():
            self._turn(_POLL_MS if self._busy or not all(w.idle for w in self._current()) else _IDLE_POLL_MS)
        deadline = self._clock() + _SHUTDOWN_S
        for writer in self._current():
            writer.shut_down()
        while self._clock() < deadline and not all(writer.idle for writer in self._current()):
            self._start_actions()
            self._wait(0.05)
        for writer in self._current():
            writer.close()
        self._pool.shutdown()
        self._commit(wait=True)

    def _turn(self, poll_ms: int) -> None:
        self._raise_crash()
        self._open()
        self._start_actions()
        self._steer()
        if self._busy and not self._fetching():
            self._wait(0.02)
            poll_ms = 0
        for where, records in self._poll(poll_ms).items():
            if writer := self._writers.get(where):
                writer.feed(records, self._clock())
        if self._clock() >= self._routine_at:
            self._routine_at = self._clock() + _ROUTINE_EVERY_S
            self._routine()

    def _open(self) -> None:
        """Give each newly assigned partition a writer."""
        with self._lock:
            new = self._assigned - self._writers.keys()
        if not new:
            return
        try:
            ids = self._topics.ids({where.topic for where in new})
        except LogError as error:
            log.warning("failed, will try again", error=str(error))
            return
        with self._lock:
            for where in new & self._assigned:
                if topic_id := ids.get(where.topic):
                    self._writers[where] = PartitionWriter(
                        where.topic, where.partition, topic_id, self._rules, self._metrics
                    )

    def _steer(self) -> None:
        """Move the consumer where the writers want it, and let only those fetch that can take records."""
        paused = self._consumer.paused()
        for where, writer in list(self._writers.items()):
            if where not in self._assigned:
                continue
            if (offset := writer.take_seek()) is not None:
                self._consumer.seek(where, offset)
                log.info("position", topic=where.topic, partition=where.partition, offset=offset)
            if writer.wants_records and where in paused:
                self._consumer.resume(where)
            elif not writer.wants_records and where not in paused:
                self._consumer.pause(where)

    def _fetching(self) -> bool:
        return any(writer.wants_records for writer in self._current())

    def _poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        try:
            return self._consumer.poll(timeout_ms=timeout_ms)  # type: ignore[no-any-return]
        except OffsetOutOfRangeError as error:
            for where, offset in error.args[0].items():
                self._stop_outside(where, offset)
        except LogTruncationError as error:
            self._stop_truncated(error)
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("failed, will try again", error=str(error))
            self._wait(1.0)
        return {}

    def _position(self, where: TopicPartition) -> int | None:
        """Return the offset that the consumer reads next, if it is known; asking may find a truncated log."""
        try:
            return self._consumer.position(where, timeout_ms=0)  # type: ignore[no-any-return]
        except LogTruncationError as error:
            self._stop_truncated(error)
            return None

    def _park(self, where: TopicPartition) -> None:
        """Keep a partition from being fetched; a poll fails without a position, so it gets one, of no meaning."""
        self._consumer.seek(where, 0)
        self._consumer.pause(where)

    def _stop_truncated(self, error: LogTruncationError) -> None:
        """Kafka compared epochs and no longer has what was read last: a recreated topic, or a log cut by a failover."""
        for where, first_other in error.divergent_offsets.items():
            if writer := self._writers.get(where):
                self._stop_outside(where, writer.next_offset, end=first_other and first_other.offset)

    def _stop_outside(self, where: TopicPartition, offset: int, end: int | None = None) -> None:
        """A position that Kafka doesn't have: a recreated topic, or records that are gone. `end` is asked if None."""
        writer = self._writers.get(where)
        if writer is None:
            return
        self._check_ids()
        if writer.error:
            self._park(where)
            return
        try:
            start = self._topics.log_start(*where)
            end = self._topics.log_end(*where) if end is None else end
        except LogError as error:
            log.warning("failed, will try again", error=str(error))
            return
        lost = f"{offset}..{start - 1} are lost" if offset < start else f"{end}..{offset - 1} are in S3, not in Kafka"
        writer.stop(
            f"the position of {where.topic}-{where.partition} is offset {offset}, and Kafka has {start}..{end - 1}: "
            f"offsets {lost}. Nothing was skipped. To go on from offset {start}, move the objects of this partition "
            "to another folder; then restart the sink."
        )
        self._park(where)

    def _start_actions(self) -> None:
        for where, writer in list(self._writers.items()):
            if where not in self._busy and (action := writer.next(self._clock())):
                with self._lock:
                    self._busy.add(where)
                self._pool.submit(self._act, where, writer, action)

    def _act(self, where: TopicPartition, writer: PartitionWriter, first: Action) -> None:
        """Do a writer's actions until it has none."""
        action: Action | None = first
        try:
            while action is not None:
                answer = perform(action, writer.topic, writer.partition, self._around)
                writer.done(action, answer, self._clock())
                action = writer.next(self._clock())
        except BaseException as error:  # raised in the loop's thread
            self._crash = error
        finally:
            with self._lock:
                self._busy.discard(where)
            self._wake.set()

    def _routine(self) -> None:
        """Once a second: recreated topics, the lag, the group's offsets."""
        self._check_ids()
        self._metrics.lag.clear()
        for where, writer in list(self._writers.items()):
            if where not in self._assigned:
                continue
            if writer.wants_records and (position := self._position(where)) is not None:
                writer.pass_over(position)
            end = self._consumer.highwater(where)
            if end is not None and writer.done_offset is not None:
                lag = max(0, end - writer.done_offset)
                self._metrics.lag.labels(where.topic, str(where.partition)).set(lag)
        self._metrics.show(self._current())
        self._commit(wait=False)

    def _check_ids(self) -> None:
        try:
            ids = self._topics.ids({writer.topic for writer in self._current()})
        except LogError as error:
            log.warning("failed, will try again", error=str(error))
            return
        for writer in self._current():
            now = ids.get(writer.topic, writer.topic_id)
            if now != writer.topic_id:
                writer.stop(
                    f"the topic {writer.topic} was deleted and made again: its objects and this sink's position belong "
                    f"to the id {writer.topic_id}, Kafka now has the id {now}. What was held was dropped. Choose: "
                    "move or delete the objects of the old topic, or set another topics.dir or bucket; then restart."
                )

    def _commit(self, *, wait: bool) -> None:
        """Show the group how far S3 is; nothing reads it back."""
        with self._lock:
            done = {w: writer.done_offset for w, writer in self._writers.items() if w in self._assigned}
        moved = {w: offset for w, offset in done.items() if offset is not None and self._committed.get(w) != offset}
        if not moved:
            return
        offsets = {where: OffsetAndMetadata(offset, "", -1) for where, offset in moved.items()}
        try:
            if wait:
                self._consumer.commit(offsets, timeout_ms=3000)
            else:
                self._consumer.commit_async(offsets)
        except KafkaError as error:
            log.debug("commit", error=str(error))
            return
        self._committed |= moved

    def _current(self) -> list[PartitionWriter]:
        with self._lock:
            return list(self._writers.values())

    def _wait(self, seconds: float) -> None:
        """Wait for an action to end, or `seconds`."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _raise_crash(self) -> None:
        if self._crash is not None:
            raise self._crash


def _names(partitions: Iterable[TopicPartition]) -> list[str]:
    return sorted(f"{where.topic}-{where.partition}" for where in partitions)
