"""Which streams there are: a compacted topic of one partition, read by every instance, written by any.

Each record holds a stream's whole state and its version, one more than the state it was made from. All instances
apply the records in the log's order by one rule: a version above the present one counts, any other is void. So of two
instances that change a stream at once the first in the log wins, and the other, which reads its own record back
before it answers, learns of it and starts anew. A void record must not stay the last of its key, since compaction
would keep it and drop the state that counts; whoever sees one that stays last writes the state that counts again.

`current()` makes sure that all that was in the topic when it was called is known. It runs by itself ten times a
second; `fresh()` says whether it succeeded so recently that no shard can have been closed unknown to this instance:
who closes one waits `close_grace_s` between saying so here and closing it.
"""

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import orjson
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from kinesis.errors import internal
from kinesis.settings import Settings
from kinesis.streams import Stream, from_json, to_json
from kinesis.writer import Entry, Writer

log = structlog.get_logger("kinesis.catalog")

_PERIOD_S = 0.1
_TIMEOUT_S = 5.0
_DISPUTE_S = 2.0
_STREAM = "stream/"
_SECRET = "secret"  # noqa: S105  # the key's name


@dataclass(frozen=True)
class _State:
    version: int
    by: str
    value: dict[str, Any]


class Catalog:
    """The streams, as of the last record read. Its state is touched by the event loop only."""

    def __init__(self, settings: Settings, writer: Writer, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._topic = settings.metadata_topic
        self._writer = writer
        self._clock = clock
        self._states: dict[str, _State] = {}
        self._streams: dict[str, Stream] = {}
        self._changed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._verdicts: dict[str, asyncio.Future[bool]] = {}
        self._disputed: dict[str, float] = {}
        self._position = 0
        self._moved = asyncio.Event()
        self._fresh_as_of = float("-inf")
        self._begun = float("-inf")
        self._refreshing: asyncio.Task[float] | None = None
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(2, "catalog")
        self._tasks: list[asyncio.Task[None]] = []
        self._consumer: Consumer | None = None
        self._asker: Consumer | None = None
        self._thread: threading.Thread | None = None
        self.ready = asyncio.Event()
        self.on_change: Callable[[Stream], None] = lambda _stream: None

    def start(self) -> None:
        """Begin to read, as soon as Kafka is there."""
        task = asyncio.get_running_loop().create_task(self._keep())
        task.add_done_callback(_tell_failure)
        self._tasks.append(task)

    async def close(self) -> None:
        """Stop reading."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 5)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def get(self, name: str) -> Stream | None:
        """Return a stream as far as this instance knows, None if it doesn't exist."""
        stream = self._streams.get(name)
        return stream if stream is not None and stream.status != "DELETED" else None

    async def look_up(self, name: str) -> Stream | None:
        """Return a stream; one that isn't known here may have been made elsewhere just now."""
        stream = self.get(name)
        if stream is None or stream.status == "CREATING":
            await self.current()
            stream = self.get(name)
        return stream

    def all(self) -> list[Stream]:
        """Return the streams by name, as far as this instance knows."""
        return sorted((s for s in self._streams.values() if s.status != "DELETED"), key=lambda stream: stream.name)

    def fresh(self) -> bool:
        """Whether no shard can have been closed that isn't known here to be closing."""
        return self._clock() - self._fresh_as_of < self._settings.close_grace_s * 0.9

    async def current(self) -> None:
        """Return when all is known that was in the topic at the call. Raises KinesisError if Kafka doesn't answer."""
        asked = self._clock()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self.ready.wait()
                while await asyncio.shield(self._refresh()) < asked:
                    pass
        except (TimeoutError, KafkaException) as error:
            raise internal(f"Kafka does not answer ({self._settings.servers}): {error}") from None

    async def key(self) -> bytes:
        """Return the key that iterators are signed with: made by the first instance, the same for all."""
        if _SECRET not in self._states:
            await self.current()
        while _SECRET not in self._states:
            await self._append(_SECRET, 1, {"key": secrets.token_hex(32)})
        return bytes.fromhex(self._states[_SECRET].value["key"])

    async def update(self, name: str, change: Callable[[Stream | None], Stream]) -> Stream:
        """Write `change(stream)` and return it. `change` gets what counts now, DELETED too, and may run repeatedly.

        Raises what `change` raises, and KinesisError if Kafka doesn't answer; the change may have happened then.
        """
        async with self._locks[name]:
            await self.current()
            while True:
                before = self._streams.get(name)
                after = change(before)
                if after is before:
                    return after
                after = replace(after, version=(before.version if before else 0) + 1)
                if await self._append(_STREAM + name, after.version, to_json(after)):
                    return after
                log.info("change_lost_to_another_instance", stream=name, version=after.version)

    async def wait_for_change(self, stream: Stream, timeout_s: float) -> None:
        """Return when a later version of `stream` is known, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while (known := self._streams.get(stream.name)) is None or known.version == stream.version:
                    await self._changed[stream.name].wait()

    async def _append(self, key: str, version: int, value: dict[str, Any]) -> bool:
        by = secrets.token_hex(8)
        verdict: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._verdicts[by] = verdict
        body = orjson.dumps({"version": version, "by": by, **value})
        try:
            await self._writer.write(self._topic, Entry(0, key.encode(), body))
            async with asyncio.timeout(_TIMEOUT_S):
                return await verdict
        except (TimeoutError, KafkaException) as error:
            raise internal(f"Kafka did not take a change ({self._settings.servers}): {error}") from None
        finally:
            del self._verdicts[by]

    def _refresh(self) -> "asyncio.Task[float]":
        """Return the look at the topic's end that is under way, or begin one; its result is when it began."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._look())
        return self._refreshing

    async def _look(self) -> float:
        begun = self._clock()
        loop = asyncio.get_running_loop()
        end = await loop.run_in_executor(self._threads, self._end)
        while self._position < end:
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), _TIMEOUT_S)
        self._fresh_as_of = max(self._fresh_as_of, begun)
        return begun

    def _end(self) -> int:
        assert self._asker is not None  # noqa: S101  # `ready` is set after it
        return self._asker.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=_TIMEOUT_S)[1]

    async def _keep(self) -> None:
        """Create the topic, read it, and look at its end again and again."""
        await self._begin()
        failing = False
        while True:
            try:
                await asyncio.shield(self._refresh())
                if failing:
                    log.info("catalog_is_current_again")
                failing = False
                await self._settle_disputes()
            except (TimeoutError, KafkaException) as error:
                if not failing:
                    log.warning("catalog_cannot_be_read", error=str(error), servers=self._settings.servers)
                failing = True
            await asyncio.sleep(_PERIOD_S)

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        told = False
        while True:
            try:
                await loop.run_in_executor(self._threads, self._create_topic)
                break
            except KafkaException as error:
                if not told:
                    log.warning("waiting_for_kafka", error=str(error), servers=self._settings.servers)
                told = True
                await asyncio.sleep(0.3)
        config: dict[str, Any] = {
            **self._settings.kafka,
            "client.id": "kinesis-catalog",
            "group.id": "kinesis-catalog",  # never joined; librdkafka wants a name
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 500,
            "queued.max.messages.kbytes": 4096,
            "log.connection.close": False,
            "logger": logging.getLogger("librdkafka"),
        }
        self._consumer = Consumer(config)
        # a connection of its own: on the other one a question would wait behind a fetch that waits for records
        self._asker = Consumer(config)
        self._consumer.assign([TopicPartition(self._topic, 0, 0)])
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="catalog", daemon=True)
        self._thread.start()
        while True:
            with contextlib.suppress(TimeoutError, KafkaException):
                await self._look()
                break
        self.ready.set()
        log.info("catalog_read", topic=self._topic, streams=len(self.all()))

    def _create_topic(self) -> None:
        config: dict[str, Any] = {**self._settings.kafka, "logger": logging.getLogger("librdkafka")}
        admin = AdminClient(config)
        if self._topic in admin.list_topics(timeout=2).topics:
            return
        new = NewTopic(
            self._topic,
            1,
            self._settings.replication_factor,
            # what is younger than the lag is never dropped: time to overwrite a void record
            config={"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000", "segment.ms": "86400000"},
        )
        try:
            admin.create_topics([new], request_timeout=5)[self._topic].result(10)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read the topic. Runs on a thread of its own until `close`."""
        consumer = self._consumer
        assert consumer is not None  # noqa: S101
        while not self._stopping.is_set():
            first = consumer.poll(0.2)
            if first is None:
                continue
            messages = [first, *consumer.consume(500, 0)]
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._apply, messages)
        consumer.close()

    def _apply(self, messages: list[Message]) -> None:
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    self._position = max(self._position, message.offset() or 0)
                continue
            key, value = message.key(), message.value()
            if key is not None and value is not None:
                try:
                    self._take(key.decode(), orjson.loads(value))
                except (ValueError, KeyError, TypeError):
                    log.exception("catalog_record_ignored", offset=message.offset())
            self._position = (message.offset() or 0) + 1
        self._moved.set()

    def _take(self, key: str, value: dict[str, Any]) -> None:
        """Apply one record by the rule that all instances share."""
        state = _State(value.pop("version"), value.pop("by"), value)
        known = self._states.get(key)
        counts = known is None or state.version > known.version
        if counts:
            if key.startswith(_STREAM):
                stream = from_json(value, state.version)
                self._streams[stream.name] = stream
                self._changed.pop(stream.name, asyncio.Event()).set()
                self.on_change(stream)
            self._states[key] = state
        if counts or (known is not None and state.by == known.by):
            self._disputed.pop(key, None)
        else:
            self._disputed.setdefault(key, self._clock())
        verdict = self._verdicts.get(state.by)
        if verdict is not None and not verdict.done():
            verdict.set_result(counts)

    async def _settle_disputes(self) -> None:
        """Write what counts over a void record that has stayed the last of its key."""
        for key, since in list(self._disputed.items()):
            if self._clock() - since > _DISPUTE_S:
                state = self._states[key]
                body = orjson.dumps({"version": state.version, "by": state.by, **state.value})
                await self._writer.write(self._topic, Entry(0, key.encode(), body))
                self._disputed[key] = self._clock()


def _tell_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("catalog_stopped", exc_info=error)
