"""What the sink asks Kafka besides records: topic ids, and where a partition's log begins."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from kafka.structs import TopicPartition

from pinline.errors import StateError
from sink.actions import LogError

_NO_ID = UUID(int=0)


class TopicLog:
    """Questions about topics, safe to ask from several threads."""

    def __init__(self, connection: dict[str, Any]) -> None:
        """Connect; `connection` is `pinline.kafka.kafka_python_config`'s."""
        self._admin = KafkaAdminClient(request_timeout_ms=10_000, **connection)
        self._lock = threading.Lock()

    def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Return Kafka's id of each topic that exists.

        Raises LogError if Kafka doesn't answer, StateError if it gives no ids (before 2.8).
        """
        names = sorted(topics)
        if not names:
            return {}
        try:
            with self._lock:
                described = self._admin.describe_topics(names)
        except KafkaError as error:
            raise LogError(f"the ids of {', '.join(names)}: {error}") from error
        found = {}
        for topic in described:
            if topic["error_code"]:
                continue
            topic_id = topic.get("topic_id")
            if topic_id is None or UUID(str(topic_id)) == _NO_ID:
                raise StateError(
                    f"Kafka gave no id for the topic {topic['name']}: without one the sink can't tell a recreated "
                    "topic from the old one. Kafka 2.8 or newer gives ids."
                )
            found[topic["name"]] = str(topic_id)
        return found

    def log_start(self, topic: str, partition: int) -> int:
        """Return the first offset that Kafka still has of a partition. Raises LogError."""
        return self._offset(topic, partition, OffsetSpec.EARLIEST)

    def log_end(self, topic: str, partition: int) -> int:
        """Return the offset that the next record of a partition will get. Raises LogError."""
        return self._offset(topic, partition, OffsetSpec.LATEST)

    def _offset(self, topic: str, partition: int, spec: Any) -> int:
        where = TopicPartition(topic, partition)
        try:
            with self._lock:
                return int(self._admin.list_partition_offsets({where: spec}, timeout_ms=10_000)[where].offset)
        except KafkaError as error:
            raise LogError(f"an offset of {topic}-{partition}: {error}") from error

    def ensure(self, topic: str, replication_factor: int, configs: Mapping[str, str]) -> None:
        """Create a topic of one partition, unless it exists."""
        options = {"num_partitions": 1, "replication_factor": replication_factor, "configs": dict(configs)}
        try:
            with self._lock:
                described = self._admin.describe_topics([topic])
                if described and for_code(described[0]["error_code"]).errno == 0:
                    return
                self._admin.create_topics({topic: options})
        except TopicAlreadyExistsError:
            return

    def close(self) -> None:
        """Disconnect."""
        self._admin.close()
