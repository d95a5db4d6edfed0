"""Move streams from state to state: create and delete topics, close shards, open their children.

Each step reads the catalog, does one thing to Kafka that may be done twice, and writes the catalog. Any instance may
take any step, so whoever accepted a request begins, and if it dies another one goes on after some seconds.

How a shard closes so that no acknowledged record lies behind its end:
1. The catalog says that it is closing. Writers that know hold its records back.
2. `close_grace_s` passes. An instance that could not read the catalog in this time does not acknowledge (catalog.py).
3. A marker (a record without a value) is written to the partition; its offset is the shard's end.
4. The catalog says: closed at that offset, children open. A record that was written behind the end, and so was not
   acknowledged, is written to a child; readers do not look behind the end.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)

from kinesis.catalog import Catalog
from kinesis.errors import KinesisError
from kinesis.settings import Settings
from kinesis.streams import Stream, finish_step
from kinesis.writer import Entry, Writer

log = structlog.get_logger("kinesis.lifecycle")

_TAKE_OVER_S = 3.0
_RETRY_S = 0.5
_TIMEOUT_S = 10.0
_BATCH_OVERHEAD = 4096
CLOSE_MARKER = b"shard closed"
"""The marker's key, for people who look at the topic."""


class Lifecycle:
    """Drives every stream that is not ACTIVE."""

    def __init__(self, settings: Settings, catalog: Catalog, writer: Writer) -> None:
        self._settings = settings
        self._catalog = catalog
        self._writer = writer
        self._threads = ThreadPoolExecutor(4, "admin")
        self._running: dict[str, asyncio.Task[None]] = {}
        self._since: dict[tuple[str, int], float] = {}
        self._watch: asyncio.Task[None] | None = None
        self._admin: AdminClient | None = None

    def start(self) -> None:
        """Begin to look after streams that others left behind."""
        self._watch = asyncio.get_running_loop().create_task(self._look_after())

    def close(self) -> None:
        """Leave all as it is; another instance, or this one's next start, goes on."""
        for task in [self._watch, *self._running.values()]:
            if task is not None:
                task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def advance(self, name: str) -> None:
        """Begin to move a stream to ACTIVE, or out of existence, unless that is under way."""
        task = self._running.get(name)
        if task is None or task.done():
            self._running[name] = asyncio.get_running_loop().create_task(self._advance(name))

    async def topics(self) -> set[str]:
        """Return the names of all topics."""
        found = await self._in_thread(lambda: self._client().list_topics(timeout=_TIMEOUT_S))
        return set(found.topics)

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_S)
            now = time.monotonic()
            waiting = {(s.name, s.version) for s in self._catalog.all() if s.status != "ACTIVE"}
            self._since = {key: self._since.get(key, now) for key in waiting}
            for (name, _), since in self._since.items():
                if now - since > _TAKE_OVER_S:
                    self.advance(name)

    async def _advance(self, name: str) -> None:
        while True:
            stream = self._catalog.get(name)
            if stream is None or stream.status == "ACTIVE":
                return
            step: Callable[[Stream], Coroutine[Any, Any, None]]
            step = {"CREATING": self._create, "UPDATING": self._update, "DELETING": self._delete}[stream.status]
            try:
                await step(stream)
            except (KafkaException, KinesisError, TimeoutError) as error:
                log.warning("step_failed", stream=name, status=stream.status, error=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _create(self, stream: Stream) -> None:
        await asyncio.sleep(self._settings.state_delay_s)
        new = NewTopic(
            stream.topic,
            len(stream.shards),
            self._settings.replication_factor,
            config={
                "cleanup.policy": "delete",
                "retention.ms": str(stream.retention_ms),
                "message.timestamp.type": "LogAppendTime",
                "max.message.bytes": str(stream.max_record_kib * 1024 + _BATCH_OVERHEAD),
            },
        )
        await self._in_thread(lambda: self._make(new))
        await self._in_thread(lambda: self._await_partitions(stream.topic, len(stream.shards)))
        await self._settle(stream, lambda known: replace(known, status="ACTIVE"))
        log.info("stream_created", stream=stream.name, topic=stream.topic, shards=len(stream.shards))

    async def _update(self, stream: Stream) -> None:
        if not stream.children:
            await asyncio.sleep(self._settings.state_delay_s)
            await self._in_thread(lambda: self._retain(stream))
            await self._settle(stream, lambda known: finish_step(known, {}, int(time.time() * 1000)))
            return
        count = stream.next_index + len(stream.children)
        grown = asyncio.ensure_future(self._in_thread(lambda: self._grow(stream.topic, count)))
        await asyncio.sleep(max(self._settings.close_grace_s, self._settings.state_delay_s))
        await grown
        endings = dict.fromkeys(sorted(stream.closing), -1)
        marks = [self._writer.write(stream.topic, Entry(shard, CLOSE_MARKER, None)) for shard in endings]
        endings.update(zip(endings, await asyncio.gather(*marks), strict=True))
        now_ms = int(time.time() * 1000)
        await self._settle(stream, lambda known: finish_step(known, endings, now_ms))
        log.info("shards_closed", stream=stream.name, shards=sorted(endings), opened=len(stream.children))

    async def _delete(self, stream: Stream) -> None:
        await asyncio.sleep(max(self._settings.close_grace_s, self._settings.state_delay_s))
        await self._in_thread(lambda: self._drop(stream.topic))
        await self._settle(
            stream, lambda known: replace(known, status="DELETED", shards=(), children=(), tags={}, target=None)
        )
        log.info("stream_deleted", stream=stream.name, topic=stream.topic)

    async def _settle(self, stream: Stream, change: Callable[[Stream], Stream]) -> None:
        """Write the step's result, unless another instance took the step meanwhile. Tags may have changed."""

        def apply(known: Stream | None) -> Stream:
            if known is None or (known.epoch, known.status, known.children) != (
                stream.epoch,
                stream.status,
                stream.children,
            ):
                return known or stream
            return change(known)

        await self._catalog.update(stream.name, apply)

    def _make(self, new: NewTopic) -> None:
        try:
            self._client().create_topics([new], operation_timeout=5, request_timeout=5)[new.topic].result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def _grow(self, topic: str, count: int) -> None:
        try:
            self._client().create_partitions([NewPartitions(topic, count)], operation_timeout=5, request_timeout=5)[
                topic
            ].result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.INVALID_PARTITIONS:  # it has them already
                raise
        self._await_partitions(topic, count)

    def _await_partitions(self, topic: str, count: int) -> None:
        """Wait until every partition has a leader, and the producer knows them."""
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            found = self._client().list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
            if len(found.partitions) >= count and all(p.leader >= 0 for p in found.partitions.values()):
                break
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
            time.sleep(0.02)
        self._writer.learn_partitions(topic)

    def _retain(self, stream: Stream) -> None:
        entry = ConfigEntry("retention.ms", str(stream.retention_ms), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, stream.topic, incremental_configs=[entry])
        self._client().incremental_alter_configs([resource], request_timeout=5)[resource].result(_TIMEOUT_S)

    def _drop(self, topic: str) -> None:
        try:
            self._client().delete_topics([topic], operation_timeout=5, request_timeout=5)[topic].result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
        deadline = time.monotonic() + _TIMEOUT_S
        while topic in self._client().list_topics(timeout=_TIMEOUT_S).topics:
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))
            time.sleep(0.05)

    def _client(self) -> AdminClient:
        if self._admin is None:
            config = {
                **self._settings.kafka,
                "client.id": "kinesis-admin",
                "log.connection.close": False,
                "logger": logging.getLogger("librdkafka"),
            }
            self._admin = AdminClient(config)
        return self._admin

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
