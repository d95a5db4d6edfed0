"""Write records to Kafka: one producer, one poll thread, one future a request.

In: the records of a request. Out: for each, in order, its partition and offset, or its error. A record with an offset
was acknowledged by all in-sync replicas. The producer is idempotent, so its own retries neither double nor reorder; a
fatal error of it (librdkafka can't go on then) is followed by a new producer, and what the old one held is answered
as retriable.
"""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from gateway.protocol import record_error_code
from gateway.records import Record

log = structlog.get_logger("gateway.writer")

DELIVERY_TIMEOUT_MS = 15_000
"""A record not acknowledged by then is answered with an error. Well below API Gateway's 29 s for a request."""
ROOM_TIMEOUT_S = 10.0
"""How long a request waits for room in a full queue. With the delivery of its last record it stays below 29 s."""
_ANSWER_TIMEOUT_S = ROOM_TIMEOUT_S + DELIVERY_TIMEOUT_MS / 1000 + 2
_AUTHENTICATION_MEMORY_S = 60.0
_SLICE = 500
_BACK_PRESSURE_S = 0.005


class Outcome(NamedTuple):
    """What became of one record: partition and offset, or error code and text."""

    partition: int | None
    offset: int | None
    error_code: int | None
    error: str | None


def failed(code: int, text: str) -> Outcome:
    """Return the outcome of a record that was not written."""
    return Outcome(None, None, code, text)


_NO_ANSWER = failed(50003, f"Kafka did not acknowledge the record within {_ANSWER_TIMEOUT_S:.0f} s.")


class _Request:
    """The records of one HTTP request under way: settled by the poll thread, awaited by the event loop once."""

    __slots__ = ("_last", "_loop", "_settled", "future", "outcomes")

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self.outcomes: list[Outcome] = [_NO_ANSWER] * count
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
    """The gateway's producer. `start()` before the first request, `close()` after the last."""

    def __init__(
        self,
        connection: dict[str, Any],
        *,
        linger_ms: float,
        delivery_timeout_ms: int = DELIVERY_TIMEOUT_MS,
        factory: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        """Take librdkafka's connection properties; `factory` makes a producer of the finished configuration."""
        self._config: dict[str, Any] = {
            **connection,
            "client.id": "pinline-gateway",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": linger_ms,
            "message.timeout.ms": delivery_timeout_ms,
            # what a topic and a Java producer allow by default; the broker has the last word
            "message.max.bytes": 1_048_576,
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 65_536,
            "topic.metadata.propagation.max.ms": 5_000,
            "log.connection.close": False,
            "error_cb": self._on_error,
            "logger": logging.getLogger("librdkafka"),
        }
        self._factory = factory
        self._producer = factory(self._config)
        self._fatal: KafkaError | None = None
        self._reachable = True
        self._authentication_failed_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="producer-poll", daemon=True)
        self.on_unknown_topic: Callable[[], None] = lambda: None
        self.also_poll: Callable[[], None] = lambda: None

    @property
    def producer(self) -> Producer:
        """The producer in use now; a fatal error replaces it."""
        return self._producer

    def start(self) -> None:
        """Start the poll thread."""
        self._thread.start()

    def __len__(self) -> int:
        """Count the records that wait for an acknowledgement."""
        return len(self._producer)

    def close(self, timeout_s: float = DELIVERY_TIMEOUT_MS / 1000) -> int:
        """Wait until what was taken is acknowledged or has failed; return how many records did neither in time."""
        left = int(self._producer.flush(timeout_s))
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if left:
            log.error("records_unacknowledged_at_exit", records=left)
        return left

    async def send(self, topic: str, records: Sequence[Record]) -> list[Outcome]:
        """Write `records` and return their outcomes in the same order, within 27 s. Raises nothing of Kafka's."""
        loop = asyncio.get_running_loop()
        request = _Request(len(records), loop)
        give_up = loop.time() + ROOM_TIMEOUT_S
        for index, record in enumerate(records):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)  # a request of many records must not keep the others waiting
            while not self._enqueue(topic, index, record, request):
                if loop.time() >= give_up:
                    request.settle(index, failed(50003, "The gateway's queue to Kafka is full; send the record again."))
                    break
                await asyncio.sleep(_BACK_PRESSURE_S)
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S - ROOM_TIMEOUT_S + max(0.0, give_up - loop.time())):
                await request.future
        except TimeoutError:
            log.warning("records_without_an_answer", topic=topic, records=request.outcomes.count(_NO_ANSWER))
        return list(request.outcomes)

    def _enqueue(self, topic: str, index: int, record: Record, request: _Request) -> bool:
        """Hand one record to the producer, or settle it with the producer's refusal. False if the queue is full."""
        try:
            self._producer.produce(
                topic, record.value, record.key, record.partition, on_delivery=partial(self._deliver, request, index)
            )
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
            request.settle(index, Outcome(message.partition(), message.offset(), None, None))
        else:
            self._refuse(request, index, error)

    def _refuse(self, request: _Request, index: int, error: KafkaError) -> None:
        code = error.code()
        if code == KafkaError._FATAL:  # noqa: SLF001  # its public name
            self._fatal = error
        elif code in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART):  # noqa: SLF001
            self.on_unknown_topic()
        recently = time.monotonic() - self._authentication_failed_at < _AUTHENTICATION_MEMORY_S
        if code == KafkaError._MSG_TIMED_OUT and recently:  # noqa: SLF001
            # librdkafka lets the records of a refused login time out
            request.settle(index, failed(40101, "Kafka refused the gateway's login (KAFKA_SASL_USERNAME)."))
        else:
            request.settle(index, failed(record_error_code(error), error.str()))

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)
            self.also_poll()
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
        elif error.code() in (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED):  # noqa: SLF001
            self._authentication_failed_at = time.monotonic()
            log.error("kafka_refuses_login", error=error.str())
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and self._reachable:  # noqa: SLF001
            self._reachable = False
            log.warning("kafka_does_not_answer", error=error.str(), servers=self._config["bootstrap.servers"])
