"""What the bare Kafka client does on the same broker: the limit of whatever writes to Kafka or reads it."""

import time
from collections.abc import Iterable

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

RECORD_BYTES = 400


def record(number: int) -> bytes:
    """Return a record of `RECORD_BYTES`: a JSON object with its number."""
    head = b'{"n":%d,"text":"' % number
    return head + b"x" * (RECORD_BYTES - len(head) - 2) + b'"}'


def create_topic(kafka: str, topic: str, partitions: int = 1) -> None:
    """Create a topic."""
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)


def write(kafka: str, topics: list[str], values: Iterable[bytes], partitions: int | None = None) -> float:
    """Write values to the topics in turn, acknowledged by all replicas; return records/s. The first one isn't timed.

    `partitions`, if given, get a topic's records in turn; else a record's key chooses.
    """
    config = {"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 1, "log_level": 3}
    producer = Producer(config)
    failed: list[object] = []
    count, begun = 0, time.perf_counter()
    for number, value in enumerate(values):
        while True:
            try:
                producer.produce(
                    topics[number % len(topics)],
                    value,
                    str(number),
                    number // len(topics) % partitions if partitions else -1,
                    on_delivery=lambda error, _: failed.append(error) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
        count += 1
        if not number:
            producer.flush()
            count, begun = 0, time.perf_counter()
    producer.flush()
    if failed:
        raise RuntimeError(f"writing to {', '.join(topics)}: {len(failed)} records failed, first: {failed[0]}")
    return count / (time.perf_counter() - begun)


def drain(kafka: str, topics: Iterable[str], partitions: int, count: int) -> float:
    """Read `count` records from the start of each partition of the topics; return records/s."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bare", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, number, 0) for topic in topics for number in range(partitions)])
        read, begun = 0, time.perf_counter()
        while read < count:
            found = consumer.consume(min(5000, count - read), 20)
            if not found:
                raise RuntimeError(f"reading {count} records: {read} were there")
            read += len(found)
        return read / (time.perf_counter() - begun)
    finally:
        consumer.close()
