"""What can be sent again, as entries that know which Kafka record they are."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from pinline import kafka_log, object_store
from pinline.deadletters import Origin
from pinline.events import dead_letter_topic
from pinline.objects import parse_key
from pinline.settings import Settings
from sink.formats import NotJsonError, is_null, to_line

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from mypy_boto3_s3 import S3Client


class Place(NamedTuple):
    """A record of Kafka; or of Kinesis: stream, shard id, sequence number."""

    topic: str
    partition: int | str
    offset: int | str


@dataclass(frozen=True)
class Entry:
    """One dead letter or quarantined line."""

    name: str
    """What it is called in messages, and in its mark: a record's place, or an object and a line."""
    topic: str
    partition: int
    key: bytes | None
    value: bytes
    record: Place | None
    """The record that it was; None if Kafka and the object don't tell any more."""

    @property
    def content(self) -> str:
        """A short digest of the value: a recreated topic has other records at the same places."""
        return hashlib.sha256(self.value).hexdigest()[:16]


@dataclass(frozen=True)
class Unsendable:
    """An entry that can't be sent, and why."""

    name: str
    reason: str


def dead_letters(consumer: "KafkaConsumer", settings: Settings) -> Iterator[Entry | Unsendable]:
    """Yield every dead letter in the order of writing; none if there is no such topic."""
    topic = dead_letter_topic(settings.user_id)
    if topic not in consumer.topics():
        return
    for partition, span in kafka_log.ranges(consumer, topic).items():
        for record in kafka_log.scan(consumer, topic, partition, span):
            origin = Origin.from_headers(record.headers)
            name = f"{topic}-{partition}@{record.offset}"
            if origin is None:
                yield Unsendable(name, "its headers don't say which topic it came from")
            elif record.value is None:
                yield Unsendable(name, "it has no value")
            else:
                place = Place(origin.topic, origin.partition, origin.offset)
                yield Entry("{}-{}@{}".format(*place), origin.topic, origin.partition, record.key, record.value, place)


def quarantined(
    consumer: "KafkaConsumer", s3: "S3Client", settings: Settings, lines: Iterable[tuple[str, int, str]]
) -> Iterator[Entry | Unsendable]:
    """Yield an entry for each of `lines` (object, line, raw text), which are sorted by object. It has no key."""
    for key, group in groupby(lines, key=lambda line: line[0]):
        name = parse_key(key)
        offsets = _offsets(consumer, s3, settings, key) if name else []
        for _, number, raw in group:
            shown = f"{key} line {number}"
            if name is None:
                yield Unsendable(shown, "its object has no name that the sink gives")
                continue
            record = Place(name.topic, name.partition, offsets[number]) if number < len(offsets) else None
            yield Entry(shown, name.topic, name.partition, None, raw.encode(), record)


def _offsets(consumer: "KafkaConsumer", s3: "S3Client", settings: Settings, key: str) -> list[int] | range:
    """Return the offset of each line of an object; empty if it can't be told."""
    stored = next((found for found, _ in object_store.list_keys(s3, settings, key) if found == key), None)
    item = object_store.head(s3, settings, key) if stored else None
    name = parse_key(key)
    if item is None or item.range is None or name is None:
        return []
    covered = range(item.range.first_offset, item.range.last_offset + 1)
    if len(covered) == item.range.record_count:
        return covered
    held = kafka_log.ranges(consumer, name.topic).get(name.partition, range(0))
    if covered.start not in held or covered.stop > held.stop:
        return []
    offsets = [
        record.offset
        for record in kafka_log.scan(consumer, name.topic, name.partition, covered)
        if _is_line(record.value)
    ]
    return offsets if len(offsets) == item.range.record_count else []


def _is_line(value: bytes | None) -> bool:
    if value is None or is_null(value):
        return False
    try:
        to_line(value)
    except NotJsonError:
        return False
    return True
