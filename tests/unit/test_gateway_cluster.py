"""When metadata is asked for, and when not. Only the answer of Kafka is a stand-in."""

import asyncio

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ClusterMetadata, PartitionMetadata, TopicMetadata  # type: ignore[attr-defined]

from gateway.cluster import Cluster

pytestmark = pytest.mark.unit


class Kafka:
    """Answers metadata requests, and counts them."""

    def __init__(self, *topics: str) -> None:
        self.topics = set(topics)
        self.asked = 0
        self.down = False

    def list_topics(self, timeout: float) -> ClusterMetadata:
        self.asked += 1
        if self.down:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        found = ClusterMetadata()
        for name in self.topics:
            found.topics[name] = TopicMetadata()
            found.topics[name].partitions = {0: PartitionMetadata()}
        return found


def test_a_known_topic_costs_no_request() -> None:
    kafka = Kafka("t")
    cluster = Cluster(kafka.list_topics, {})

    async def ask() -> None:
        for _ in range(100):
            assert await cluster.topic("t")

    asyncio.run(ask())
    assert kafka.asked == 1


def test_many_wrong_names_at_once_share_their_requests() -> None:
    kafka = Kafka()
    cluster = Cluster(kafka.list_topics, {})

    async def ask() -> list[object]:
        return await asyncio.gather(*(cluster.topic(f"wrong{n}") for n in range(500)))

    assert asyncio.run(ask()) == [None] * 500
    assert kafka.asked <= 2


def test_a_topic_made_after_it_was_asked_for_is_found() -> None:
    kafka = Kafka()
    cluster = Cluster(kafka.list_topics, {})

    async def ask() -> None:
        assert await cluster.topic("new") is None
        kafka.topics.add("new")
        assert await cluster.topic("new") is not None

    asyncio.run(ask())


def test_a_deleted_topic_is_noticed_once_it_is_doubted() -> None:
    kafka = Kafka("t")
    cluster = Cluster(kafka.list_topics, {})

    async def ask() -> None:
        assert await cluster.topic("t")
        kafka.topics.clear()
        cluster.doubt()
        assert await cluster.topic("t") is None

    asyncio.run(ask())


def test_a_known_topic_stays_known_while_kafka_is_down_and_an_unknown_one_is_an_error() -> None:
    kafka = Kafka("t")
    now = 0.0
    cluster = Cluster(kafka.list_topics, {}, clock=lambda: now)

    async def ask() -> None:
        nonlocal now
        assert await cluster.topic("t")
        kafka.down = True
        now = 100.0
        assert await cluster.topic("t")
        with pytest.raises(KafkaException):
            await cluster.topic("other")

    asyncio.run(ask())
