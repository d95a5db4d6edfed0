"""The dead-letter topic: records that are no lines, with key and value as they were and headers that say why."""

from collections.abc import Sequence
from typing import Any

from kafka.errors import KafkaError
from kafka.producer import KafkaProducer

from pinline.deadletters import Origin
from sink.actions import DeadLetterError
from sink.buffer import DeadLetter

_ACK_WITHIN_S = 30.0
_HEADROOM = 64 * 1024  # a dead letter is larger than its record by its headers


class DeadLetterTopic:
    """Sends dead letters and waits for all in-sync replicas. Delivery: at least once; the origin tells copies apart."""

    def __init__(self, connection: dict[str, Any], topic: str) -> None:
        """Connect; `connection` is `pinline.kafka.kafka_python_config`'s."""
        self._topic = topic
        self._producer = KafkaProducer(
            acks="all", max_request_size=10 * 1024 * 1024 + _HEADROOM, max_block_ms=10_000, **connection
        )

    def send(self, topic: str, partition: int, letters: Sequence[DeadLetter]) -> None:
        """Return when Kafka has acknowledged all letters; raises DeadLetterError otherwise."""
        try:
            sent = [
                self._producer.send(
                    self._topic,
                    key=letter.record.key,
                    value=letter.record.value,
                    headers=Origin(topic, partition, letter.record.offset, letter.reason).to_headers(),
                )
                for letter in letters
            ]
            self._producer.flush(timeout=_ACK_WITHIN_S)
            for future in sent:
                future.get(timeout=_ACK_WITHIN_S)
        except KafkaError as error:
            raise DeadLetterError(f"dead letters to {self._topic}: {error}") from error

    def close(self) -> None:
        """Disconnect."""
        self._producer.close(timeout=5)
