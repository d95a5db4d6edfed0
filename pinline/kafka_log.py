"""Read Kafka's log as it lies: every record of a range of offsets, without a consumer group.

For the command line, accounting and tests; delivery guarantees don't apply, nothing is committed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from pinline.errors import StateError, UnreachableError
from pinline.kafka import kafka_python_config
from pinline.settings import Settings


@contextmanager
def connect(settings: Settings) -> Iterator[KafkaConsumer]:
    """Yield a consumer that belongs to no group. Raises UnreachableError when no broker answers."""
    try:
        consumer = KafkaConsumer(
            **kafka_python_config(settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            # copies of a replay that was killed are in the log, and are nobody's
            isolation_level="read_committed",
            max_poll_records=5000,
            bootstrap_timeout_ms=5000,
        )
    except KafkaError as error:
        raise unreachable(settings, error) from None
    try:
        yield consumer
    finally:
        consumer.close()


@contextmanager
def connect_admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """Yield an admin client. Raises UnreachableError when no broker answers."""
    try:
        admin = KafkaAdminClient(**kafka_python_config(settings), bootstrap_timeout_ms=5000)
    except KafkaError as error:
        raise unreachable(settings, error) from None
    try:
        yield admin
    finally:
        admin.close()


def unreachable(settings: Settings, cause: object) -> UnreachableError:
    """Return the error that says where Kafka was looked for."""
    return UnreachableError("Kafka", settings.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS", cause)


def ranges(consumer: KafkaConsumer, topic: str) -> dict[int, range]:
    """Return the offsets that each partition of `topic` spans, by partition number.

    Raises StateError when there is no such topic.
    """
    partitions = consumer.partitions_for_topic(topic)
    if not partitions:
        raise StateError(
            f"Kafka has no topic {topic!r}. `make up` makes the pipeline's topics; see: pinline topics list"
        )
    asked = [TopicPartition(topic, partition) for partition in sorted(partitions)]
    begin, end = consumer.beginning_offsets(asked), consumer.end_offsets(asked)
    return {tp.partition: range(begin[tp], end[tp]) for tp in asked}


def offsets_at(consumer: KafkaConsumer, topic: str, moment_ms: int) -> dict[int, int]:
    """Return for each partition the offset of the first record written at `moment_ms` or later, its end if none was."""
    asked = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic) or ())]
    found, end = consumer.offsets_for_times(dict.fromkeys(asked, moment_ms)), consumer.end_offsets(asked)
    return {tp.partition: found[tp].offset if found.get(tp) else end[tp] for tp in asked}


def scan(consumer: KafkaConsumer, topic: str, partition: int, offsets: range) -> Iterator[Any]:
    """Yield the records of one partition whose offsets lie in `offsets`, in order (kafka-python's ConsumerRecord).

    One scan at a time: the consumer is assigned to this partition alone.
    """
    if not offsets:
        return
    tp = TopicPartition(topic, partition)
    consumer.assign([tp])
    consumer.seek(tp, offsets.start)
    # a log may end in offsets without a record (transaction markers): the position tells, not the last record
    while consumer.position(tp) < offsets.stop:
        for record in consumer.poll(timeout_ms=500).get(tp, []):
            if record.offset >= offsets.stop:
                return
            yield record
