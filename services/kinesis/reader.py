"""Read from Kafka: a few consumers, each parked where its last reader stopped.

Who goes on where another left off finds the next records fetched already; who reads elsewhere gets the consumer that
was used longest ago, sent there. A consumer that nobody asks for two seconds stops fetching. All of this blocks, so
it runs on the threads of `Reader.threads`.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

CONSUMERS = 8
_THREADS = 4
_IDLE_S = 2.0
_GATHER_S = 0.1
_WAIT_S = 3.0
_NEWS_S = 0.05

UNKNOWN_PLACE = frozenset(
    {KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART}  # noqa: SLF001
)
"""Errors of a client that doesn't know a new partition yet."""


class Place(NamedTuple):
    """A partition of one generation of a topic."""

    topic: str
    partition: int
    epoch: int


class Fetched(NamedTuple):
    """Records in the log's order, and whether the log's end is behind the last."""

    messages: list[Message]
    at_end: bool


@dataclass
class _Parked:
    consumer: Consumer
    place: Place | None = None
    offset: int = 0
    """What the next record has at least."""
    rest: deque[Message] = field(default_factory=deque)
    """Fetched and not given out yet."""
    at_end: bool = False
    used: float = 0.0

    def assign(self) -> None:
        """Send the consumer to its place."""
        if self.place is not None:
            self.consumer.assign([TopicPartition(self.place.topic, self.place.partition, self.offset)])

    def learn_place(self) -> None:
        """Ask Kafka for partitions that this consumer doesn't know yet, and go to its place again."""
        if self.place is not None:
            self.consumer.list_topics(self.place.topic, timeout=_WAIT_S)
            time.sleep(_NEWS_S)
            self.assign()


class Reader:
    """The pool. Methods that block may be called from several threads."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self._config: dict[str, Any] = {
            **connection,
            "client.id": "kinesis-reader",
            "group.id": "kinesis-reader",  # never joined; librdkafka wants a name
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",  # a position that was trimmed goes on at the first record there is
            "fetch.wait.max.ms": 50,
            "fetch.queue.backoff.ms": 2,
            "fetch.error.backoff.ms": 50,
            "fetch.message.max.bytes": 2_097_152,
            "fetch.max.bytes": 11_000_000,
            "receive.message.max.bytes": 22_000_000,
            "queued.max.messages.kbytes": 4096,
            "queued.min.messages": 20_000,
            "topic.metadata.refresh.fast.interval.ms": 50,
            "socket.nagle.disable": True,
            "log.connection.close": False,
            "logger": logging.getLogger("librdkafka"),
        }
        self._free: list[_Parked] = []
        self._made = 0
        self._lock = threading.Condition()
        self._asker: Consumer | None = None
        self._closed = False
        self.threads = ThreadPoolExecutor(_THREADS, "reader")

    def close(self) -> None:
        """Close the consumers."""
        self._closed = True
        self.threads.shutdown(wait=True, cancel_futures=True)
        for parked in self._free:
            parked.consumer.close()
        if self._asker is not None:
            self._asker.close()

    def fetch(self, place: Place, offset: int, *, limit: int, max_bytes: int, known_end: int = 0) -> Fetched:
        """Return up to `limit` records from `offset` on, up to `max_bytes` of them.

        `known_end` is the offset after a record that is known to be there: as long as it isn't reached, an empty
        answer is waited for. Raises KafkaException if Kafka doesn't answer.
        """
        if not self._parked_at(place, offset) and max(self.end_offset(place), known_end) <= offset:
            return Fetched([], at_end=True)
        with self._taken(place, offset) as parked:
            messages: list[Message] = []
            size = 0
            begun = time.monotonic()
            while len(messages) < limit:
                if not parked.rest and not self._refill(parked, messages, limit, known_end, begun):
                    break
                message = parked.rest[0]
                length = len(message)
                if messages and size + length > max_bytes:
                    break
                parked.rest.popleft()
                messages.append(message)
                size += length
                parked.offset = (message.offset() or 0) + 1
            return Fetched(messages, parked.at_end and not parked.rest)

    def end_offset(self, place: Place) -> int:
        """Return the offset that the next record gets."""
        return self._ask(place, lambda consumer: _watermarks(consumer, place)[1])

    def first_offset(self, place: Place) -> int:
        """Return the offset of the first record that is there."""
        return self._ask(place, lambda consumer: _watermarks(consumer, place)[0])

    def offset_at(self, place: Place, timestamp_ms: int) -> int:
        """Return the offset of the first record that arrived at a time or later, the end if there is none."""

        def ask(consumer: Consumer) -> int:
            where = TopicPartition(place.topic, place.partition, timestamp_ms)
            (found,) = consumer.offsets_for_times([where], timeout=_WAIT_S)
            if found.error is not None:
                raise KafkaException(found.error)
            if found.offset >= 0 and found.offset != OFFSET_END:
                return found.offset
            return _watermarks(consumer, place)[1]

        return self._ask(place, ask)

    def rest(self) -> None:
        """Let consumers that nobody asked for some time stop fetching."""
        now = time.monotonic()
        with self._lock:
            idle = [parked for parked in self._free if parked.place is not None and now - parked.used > _IDLE_S]
            for parked in idle:
                parked.place = None
                parked.rest.clear()
                parked.consumer.unassign()

    def _refill(self, parked: _Parked, messages: list[Message], limit: int, known_end: int, begun: float) -> bool:
        """Move fetched records to `rest`, waiting as long as it's worth it. False: give out what there is."""
        wanted = min(limit - len(messages), 2000)
        while True:
            batch = parked.consumer.consume(wanted, 0)
            if not batch:
                spent = time.monotonic() - begun
                if parked.at_end and parked.offset >= known_end:
                    return False
                patience = (_GATHER_S if messages else _WAIT_S) - spent
                if patience <= 0:
                    if not messages and not parked.at_end:
                        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001
                    return False
                one = parked.consumer.poll(patience)
                batch = [] if one is None else [one]
            for message in batch:
                error = message.error()
                if error is None:
                    parked.at_end = False
                    if (message.offset() or 0) >= parked.offset:
                        parked.rest.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    parked.at_end = True
                elif error.code() in UNKNOWN_PLACE and time.monotonic() - begun < _WAIT_S:
                    parked.learn_place()
                elif not error.retriable():
                    raise KafkaException(error)
            if parked.rest:
                where = TopicPartition(parked.place.topic, parked.place.partition) if parked.place else None
                _, end = parked.consumer.get_watermark_offsets(where, cached=True) if where else (0, -1)
                # what the last fetch told; without it one would wait for the next fetch to find nothing
                parked.at_end = 0 <= end <= (parked.rest[-1].offset() or 0) + 1
                return True

    def _parked_at(self, place: Place, offset: int) -> bool:
        with self._lock:
            return any(parked.place == place and parked.offset == offset for parked in self._free)

    @contextlib.contextmanager
    def _taken(self, place: Place, offset: int) -> Iterator[_Parked]:
        parked = self._take(place, offset)
        try:
            if parked.place != place or parked.offset != offset:
                parked.place, parked.offset, parked.at_end = place, offset, False
                parked.rest.clear()
                parked.assign()
            yield parked
        except BaseException:
            parked.place = None
            raise
        finally:
            with self._lock:
                parked.used = time.monotonic()
                self._free.append(parked)
                self._lock.notify()

    def _take(self, place: Place, offset: int) -> _Parked:
        with self._lock:
            while True:
                for parked in self._free:
                    if parked.place == place and parked.offset == offset:
                        self._free.remove(parked)
                        return parked
                idle = [parked for parked in self._free if parked.place is None]
                if idle:
                    self._free.remove(idle[0])
                    return idle[0]
                if self._made < CONSUMERS:
                    self._made += 1
                    return _Parked(Consumer(self._config))
                if self._free:
                    parked = min(self._free, key=lambda other: other.used)
                    self._free.remove(parked)
                    return parked
                self._lock.wait()

    def _ask(self, place: Place, question: Callable[[Consumer], int]) -> int:
        """Ask Kafka on a connection where no fetch is in the way; again if it is news that there is such a place."""
        with self._lock:
            if self._asker is None:
                self._asker = Consumer(self._config)
        give_up = time.monotonic() + _WAIT_S
        while True:
            try:
                return question(self._asker)
            except KafkaException as error:
                if error.args[0].code() not in UNKNOWN_PLACE or time.monotonic() > give_up:
                    raise
            self._asker.list_topics(place.topic, timeout=_WAIT_S)
            time.sleep(_NEWS_S)


def _watermarks(consumer: Consumer, place: Place) -> tuple[int, int]:
    return consumer.get_watermark_offsets(TopicPartition(place.topic, place.partition), timeout=_WAIT_S)
