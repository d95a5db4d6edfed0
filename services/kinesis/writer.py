"""Write to Kafka: one producer, one poll thread, one future a request.

In: the records of a request. Out: for each, in order, its offset or Kafka's error. A record with an offset was
acknowledged by all in-sync replicas. The producer is idempotent, so its own retries neither double nor reorder. A
record with an error may still be in the log: who sends it again may double it, as with AWS.
"""

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

log = structlog.get_logger("kinesis.writer")

DELIVERY_TIMEOUT_MS = 10_000
_ROOM_TIMEOUT_S = 5.0
_SLICE = 250
_BACK_PRESSURE_S = 0.005

Outcome = int | KafkaError
"""A record's offset, or why it has none."""


GENERATION = "g"
"""The header that tells a recreated stream's records from those of the first of its name."""


class Entry(NamedTuple):
    """A record for Kafka."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class _Request:
    """The records of one request under way: settled by the poll thread, awaited by the event loop once."""

    __slots__ = ("_last", "_loop", "_settled", "future", "outcomes")

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        timed_out = KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001  # its public name
        self.outcomes: list[Outcome] = [timed_out] * count
        self.future: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._last = count - 1
        # next() on it is atomic, and records settle on two threads
        self._settled = itertools.count()

    def settle(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        if next(self._settled) == self._last:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Writer:
    """The producer. `start()` before the first request, `close()` after the last."""

    def __init__(
        self,
        connection: dict[str, Any],
        *,
        linger_ms: float,
        factory: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        """Take librdkafka's connection properties; `factory` makes a producer of the finished configuration."""
        self._config: dict[str, Any] = {
            **connection,
            "client.id": "kinesis",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": linger_ms,
            "message.timeout.ms": DELIVERY_TIMEOUT_MS,
            # a record of 10 MiB; what a stream takes is checked before, and by the topic's max.message.bytes
            "message.max.bytes": 10_600_000,
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 32_768,
            "topic.metadata.propagation.max.ms": 5_000,
            "socket.nagle.disable": True,
            "log.connection.close": False,
            "error_cb": self._on_error,
            "logger": logging.getLogger("librdkafka"),
        }
        self._factory = factory
        self._producer = factory(self._config)
        self._fatal: KafkaError | None = None
        self._reachable = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="producer-poll", daemon=True)

    def start(self) -> None:
        """Start the poll thread."""
        self._thread.start()

    def __len__(self) -> int:
        """Count the records that wait for an acknowledgement."""
        return len(self._producer)

    def close(self) -> int:
        """Wait until what was taken is acknowledged or has failed; return how many records did neither in time."""
        left = int(self._producer.flush(DELIVERY_TIMEOUT_MS / 1000))
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        return left

    def learn_partitions(self, topic: str) -> None:
        """Ask Kafka how many partitions a topic has now, so that new ones can be written to. Blocks."""
        self._producer.list_topics(topic, timeout=5)

    async def send(self, topic: str, entries: Sequence[Entry]) -> list[Outcome]:
        """Write `entries` and return their outcomes in the same order, within 17 s. Raises nothing of Kafka's."""
        loop = asyncio.get_running_loop()
        request = _Request(len(entries), loop)
        give_up = loop.time() + _ROOM_TIMEOUT_S
        for index, entry in enumerate(entries):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)  # a request of many records must not keep the others waiting
            while not self._enqueue(topic, index, entry, request):
                if loop.time() >= give_up:
                    request.settle(index, KafkaError(KafkaError._QUEUE_FULL))  # noqa: SLF001
                    break
                await asyncio.sleep(_BACK_PRESSURE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DELIVERY_TIMEOUT_MS / 1000 + 2):
                await request.future
        return list(request.outcomes)

    async def write(self, topic: str, entry: Entry) -> int:
        """Write one record and return its offset. Raises KafkaException."""
        (outcome,) = await self.send(topic, [entry])
        if isinstance(outcome, int):
            return outcome
        raise KafkaException(outcome)

    def _enqueue(self, topic: str, index: int, entry: Entry, request: _Request) -> bool:
        """Hand one record to the producer, or settle it with the producer's refusal. False if the queue is full."""
        partition, key, value, headers = entry
        settled = partial(self._deliver, request, index)
        try:
            if headers is None:
                self._producer.produce(topic, value, key, partition, on_delivery=settled)
            else:
                self._producer.produce(topic, value, key, partition, on_delivery=settled, headers=headers)  # type: ignore[arg-type]
        except BufferError:
            return False
        except KafkaException as error:
            self._refuse(request, index, error.args[0])
        return True

    def _deliver(self, request: _Request, index: int, error: KafkaError | None, message: Message) -> None:
        if error is None:
            if not self._reachable:
                self._reachable = True
                log.info("kafka_answers")
            request.settle(index, message.offset())  # type: ignore[arg-type]  # an int after delivery
        else:
            self._refuse(request, index, error)

    def _refuse(self, request: _Request, index: int, error: KafkaError) -> None:
        if error.code() == KafkaError._FATAL:  # noqa: SLF001
            self._fatal = error
        request.settle(index, error)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)
            if self._fatal is not None:
                self._replace(self._fatal)

    def _replace(self, error: KafkaError) -> None:
        log.error("producer_replaced", error=error.str())
        old, self._producer = self._producer, self._factory(self._config)
        self._fatal = None
        old.purge()
        old.flush(5)
        self._fatal = None  # the purged records told of it once more

    def _on_error(self, error: KafkaError) -> None:
        """Keep what librdkafka says outside of any record. Called on the poll thread."""
        if error.fatal():
            self._fatal = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and self._reachable:  # noqa: SLF001
            self._reachable = False
            log.warning("kafka_does_not_answer", error=error.str(), servers=self._config["bootstrap.servers"])
