"""The writer's answers to faults that a healthy Kafka doesn't show. The producer is a stand-in that fails as told."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ClusterMetadata, PartitionMetadata, TopicMetadata  # type: ignore[attr-defined]

from gateway.app import Parts, create_app
from gateway.cluster import Cluster
from gateway.intake import Intake
from gateway.kinesis import Kinesis
from gateway.metrics import Metrics
from gateway.records import Record
from gateway.writer import Outcome, Writer
from pinline.settings import Settings
from tests.fixtures.backends import wait_until

pytestmark = pytest.mark.unit

RECORD = Record(None, b"1", -1)


class Delivered:
    """What a delivery report names."""

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7


class FailingProducer:
    """A producer whose records all meet `fault`, or are delivered."""

    def __init__(self, config: dict[str, Any], fault: KafkaError | None = None, *, refuse: bool = False) -> None:
        self.config = config
        self.fault = fault
        self.refuse = refuse
        self.reports: list[Callable[[], None]] = []
        self.purged = False

    def produce(self, topic: str, value: Any, key: Any, partition: int, on_delivery: Callable[..., None]) -> None:
        if self.fault is not None and self.refuse:
            raise KafkaException(self.fault)
        self.reports.append(lambda: on_delivery(self.fault, Delivered()))

    def poll(self, timeout: float) -> int:
        reports, self.reports = self.reports, []
        for report in reports:
            report()
        return len(reports)

    def flush(self, timeout: float) -> int:
        self.poll(timeout)
        return 0

    def purge(self) -> None:
        self.purged = True

    def __len__(self) -> int:
        return len(self.reports)


def writer_with(fault: KafkaError | None, *, refuse: bool = False) -> tuple[Writer, list[FailingProducer]]:
    """A writer whose first producer fails and whose next ones don't; and the producers it made."""
    made: list[FailingProducer] = []

    def factory(config: dict[str, Any]) -> Any:
        made.append(FailingProducer(config, None if made else fault, refuse=refuse))
        return made[-1]

    return Writer({"bootstrap.servers": "nowhere:1"}, linger_ms=0, factory=factory), made


def test_a_fatal_error_of_a_record_is_retriable_and_the_next_producer_writes() -> None:
    writer, made = writer_with(KafkaError(KafkaError._FATAL), refuse=True)
    writer.start()
    (outcome,) = asyncio.run(writer.send("t", [RECORD]))
    assert (outcome.offset, outcome.error_code) == (None, 50003)
    wait_until(lambda: len(made) == 2 and made[0].purged, 10, "the producer is replaced")
    assert asyncio.run(writer.send("t", [RECORD])) == [Outcome(0, 7, None, None)]
    writer.close()
    assert len(made) == 2


def test_a_fatal_error_between_records_replaces_the_producer_once() -> None:
    writer, made = writer_with(None)
    writer.start()
    made[0].config["error_cb"](KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", fatal=True))
    wait_until(lambda: len(made) == 2, 10, "the producer is replaced")
    assert asyncio.run(writer.send("t", [RECORD])) == [Outcome(0, 7, None, None)]
    writer.close()
    assert len(made) == 2


def test_records_that_time_out_after_a_refused_login_are_40101() -> None:
    writer, made = writer_with(KafkaError(KafkaError._MSG_TIMED_OUT))
    writer.start()
    (before,) = asyncio.run(writer.send("t", [RECORD]))
    made[0].config["error_cb"](KafkaError(KafkaError._AUTHENTICATION))
    (after,) = asyncio.run(writer.send("t", [RECORD]))
    writer.close()
    assert (before.error_code, after.error_code) == (50003, 40101)


def test_an_unknown_topic_makes_the_metadata_doubtful() -> None:
    writer, _ = writer_with(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    doubts: list[bool] = []
    writer.on_unknown_topic = lambda: doubts.append(True)
    writer.start()
    (outcome,) = asyncio.run(writer.send("t", [RECORD]))
    writer.close()
    assert outcome.error_code == 50003
    assert doubts == [True]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, 403, 40301),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, 403, 40301),
        (KafkaError._AUTHENTICATION, 401, 40101),
        (KafkaError.NOT_ENOUGH_REPLICAS, 200, 50003),
        (KafkaError.MSG_SIZE_TOO_LARGE, 200, 50002),
    ],
)
def test_refused_access_is_the_status_of_the_answer_whose_body_stays_the_offsets(
    fault: int, status: int, code: int
) -> None:
    writer, _ = writer_with(KafkaError(fault, "refused"))
    writer.start()
    metrics = Metrics(lambda: 0)
    cluster = Cluster(lambda timeout: _metadata("t"), {})
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    parts = Parts(writer, cluster, metrics, Intake(metrics.body_bytes), Kinesis(settings))
    app = create_app(settings, parts, stage="dev")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            headers = {"Content-Type": "application/vnd.kafka.json.v2+json"}
            return await client.post("/dev/topics/t", json={"records": [{"value": 1}]}, headers=headers)

    answer = asyncio.run(ask())
    parts.close()
    assert answer.status_code == status
    assert answer.json() == {
        "offsets": [{"partition": None, "offset": None, "error_code": code, "error": "refused"}],
        "key_schema_id": None,
        "value_schema_id": None,
    }


def _metadata(*topics: str) -> ClusterMetadata:
    found = ClusterMetadata()
    found.brokers = {1: None}
    for name in topics:
        topic = TopicMetadata()
        topic.topic = name
        topic.partitions = {0: PartitionMetadata()}
        found.topics[name] = topic
    return found
