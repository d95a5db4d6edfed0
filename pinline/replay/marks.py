"""The marks of what was sent again: records of the topic `replayed.<USER_ID>`, one an entry, kept for ever.

Key: the entry's name. Value, in JSON: `content` (digest of the value), `record` (the record that the entry was, as
topic, partition, offset, or null) and `copy` (the record that was sent). Before a put to Kinesis, which is no part of
Kafka's transaction, there is a note of the same shape with `begun` (ms of the epoch) instead of `copy`.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from pinline import kafka_log
from pinline.replay.entries import Entry, Place

if TYPE_CHECKING:
    from kafka import KafkaConsumer


@dataclass
class Marks:
    """What was sent again so far."""

    _sent: set[tuple[str | Place, str]] = field(default_factory=set)
    """(name or record, content)"""
    _copies: set[tuple[Place, str]] = field(default_factory=set)
    _begun: dict[tuple[str, str], int] = field(default_factory=dict)
    """(name, content) → when, of what may have been put"""

    @classmethod
    def read(cls, consumer: "KafkaConsumer", topic: str) -> "Marks":
        """Read all marks."""
        marks = cls()
        for partition, span in kafka_log.ranges(consumer, topic).items():
            for record in kafka_log.scan(consumer, topic, partition, span):
                value, name = orjson.loads(record.value), record.key.decode()
                if "begun" in value:
                    marks._begun[name, value["content"]] = value["begun"]
                    continue
                place = value["record"]
                marks._add(name, place and Place(*place), Place(*value["copy"]), value["content"])
        return marks

    def has(self, entry: Entry) -> bool:
        """Whether the entry was sent again."""
        names: list[str | Place] = [entry.name]
        if entry.record is not None:
            names.append(entry.record)
        return any((name, entry.content) in self._sent for name in names)

    def begun(self, entry: Entry) -> int | None:
        """When its put was about to begin (ms of the epoch), if nothing is known of its end."""
        return self._begun.get((entry.name, entry.content))

    def is_copy(self, entry: Entry) -> bool:
        """Whether the entry is a copy that a replay sent, and that was set aside again."""
        return entry.record is not None and self.knows(entry.record, entry.content)

    def knows(self, copy: Place, content: str) -> bool:
        """Whether a record is the copy of an entry that has its mark."""
        return (copy, content) in self._copies

    def add(self, entry: Entry, copy: Place) -> None:
        """Take note of a committed copy."""
        self._add(entry.name, entry.record, copy, entry.content)

    def _add(self, name: str, record: Place | None, copy: Place, content: str) -> None:
        self._sent.add((name, content))
        self._begun.pop((name, content), None)
        if record is not None:
            self._sent.add((record, content))
        self._copies.add((copy, content))


def to_record(entry: Entry, copy: Place) -> tuple[bytes, bytes]:
    """Return key and value of a mark."""
    return _record(entry, copy=tuple(copy))


def to_note(entry: Entry, begun_ms: int) -> tuple[bytes, bytes]:
    """Return key and value of the note that a put is about to begin."""
    return _record(entry, begun=begun_ms)


def _record(entry: Entry, **what: object) -> tuple[bytes, bytes]:
    record = entry.record and tuple(entry.record)
    return entry.name.encode(), orjson.dumps({"content": entry.content, "record": record, **what})
