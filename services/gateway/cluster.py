"""What Kafka says about itself: topics, partitions, brokers, offsets, topic configurations.

A snapshot of all topics is kept. A topic in it is found without a request (and the snapshot renewed in the background
when it is old); a topic not in it is looked for in a snapshot that begins after the question, so one created just now
is found. Snapshots are at least 0.1 s apart and shared by all who wait: a flood of wrong names costs ten metadata
requests a second, however many they are. (Asking for one topic by name would create it where brokers allow that.)
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs hide what it documents
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    OffsetSpec,
    PartitionMetadata,
    TopicMetadata,
)

log = structlog.get_logger("gateway.cluster")

_T = TypeVar("_T")
_GAP_S = 0.1
_OLD_S = 10.0
_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Snapshot:
    """All topics and brokers, as of `begun` (the clock's seconds)."""

    begun: float
    topics: dict[str, TopicMetadata]
    brokers: list[int]

    def partition(self, topic: str, number: int) -> PartitionMetadata | None:
        """Return a partition of a topic, None if there is none."""
        found = self.topics.get(topic)
        return found.partitions.get(number) if found is not None else None


class Cluster:
    """Metadata of a Kafka cluster. Every method may raise KafkaException: Kafka refused, or doesn't answer."""

    def __init__(
        self,
        list_topics: Callable[[float], ClusterMetadata],
        connection: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a function that asks for all metadata within so many seconds, and properties for an AdminClient."""
        self._list_topics = list_topics
        self._connection = connection
        self._clock = clock
        self._admin: AdminClient | None = None
        self._threads = ThreadPoolExecutor(2, "metadata")
        self._snapshot: Snapshot | None = None
        self._begun = float("-inf")
        self._running: asyncio.Task[Snapshot] | None = None
        self._doubted = False

    def close(self) -> None:
        """End the threads; a request under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._admin = None

    def poll(self) -> None:
        """Serve the AdminClient's callbacks (a token that is due), for which librdkafka has no thread of its own."""
        if (admin := self._admin) is not None:
            admin.poll(0)

    def doubt(self) -> None:
        """Don't trust the snapshot any longer: Kafka said that a topic in it is unknown. Callable from any thread."""
        self._doubted = True

    async def topic(self, name: str, partition: int = 0) -> TopicMetadata | None:
        """Return a topic, None if there is none; asks anew if `partition` (its highest that is wanted) isn't known."""
        snapshot = self._snapshot
        if snapshot is not None and not self._doubted and snapshot.partition(name, partition) is not None:
            if self._clock() - snapshot.begun > _OLD_S:
                self._refresh().add_done_callback(_ignore_failure)
            return snapshot.topics[name]
        return (await self.fresh()).topics.get(name)

    async def fresh(self) -> Snapshot:
        """Return a snapshot whose request began after this call."""
        asked = self._clock()
        while True:
            snapshot = await asyncio.shield(self._refresh())
            if snapshot.begun >= asked:
                return snapshot

    async def configs(self, topic: str) -> dict[str, str | None]:
        """Return a topic's configuration, defaults included."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        admin = await self._in_thread(self._admin_client)
        entries = await _result(admin.describe_configs([resource], request_timeout=_TIMEOUT_S)[resource])
        return {name: entry.value for name, entry in sorted(entries.items())}

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset of a partition, and the one that the next record gets."""
        admin = await self._in_thread(self._admin_client)
        where = TopicPartition(topic, partition)
        first, last = (
            admin.list_offsets({where: spec}, request_timeout=_TIMEOUT_S)[where]
            for spec in (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]
        )
        return (await _result(first)).offset, (await _result(last)).offset

    def _admin_client(self) -> AdminClient:
        if self._admin is None:
            config: dict[str, Any] = {
                **self._connection,
                "client.id": "pinline-gateway-admin",
                "log.connection.close": False,
                "logger": logging.getLogger("librdkafka"),
            }
            self._admin = AdminClient(config)
        return self._admin

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _refresh(self) -> "asyncio.Task[Snapshot]":
        """Return the refresh that is under way, or begin one."""
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._take())
        return self._running

    async def _take(self) -> Snapshot:
        if (wait := self._begun + _GAP_S - self._clock()) > 0:
            await asyncio.sleep(wait)
        self._begun = begun = self._clock()
        self._doubted = False
        found = await self._in_thread(lambda: self._list_topics(_TIMEOUT_S))
        topics = {
            name: topic
            for name, topic in found.topics.items()
            if topic.error is None or topic.error.code() == KafkaError.LEADER_NOT_AVAILABLE
        }
        if self._snapshot is None:
            log.info("kafka_found", brokers=len(found.brokers), topics=len(topics))
        self._snapshot = Snapshot(begun, topics, sorted(found.brokers))
        return self._snapshot


async def _result(future: "Future[Any]") -> Any:
    return await asyncio.wrap_future(future)


def _ignore_failure(task: "asyncio.Task[Snapshot]") -> None:
    if not task.cancelled() and isinstance(task.exception(), KafkaException):
        log.debug("metadata_is_old", error=str(task.exception()))
