"""The marks of what was sent again: records of the topic `replayed.<USER_ID>`, one an entry, kept for ever.

Key: the entry's name. Value, in JSON: `content` (digest of the value), `record` (the record that the entry was, as
topic, partition, offset, or null) and `copy` (the record that was sent).
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

    @classmethod
    def read(cls, consumer: "KafkaConsumer", topic: str) -> "Marks":
        """Read all marks."""
        marks = cls()
        for partition, span in kafka_log.ranges(consumer, topic).items():
            for record in kafka_log.scan(consumer, topic, partition, span):
                value = orjson.loads(record.value)
                place = value["record"]
                marks._add(record.key.decode(), place and Place(*place), Place(*value["copy"]), value["content"])
        return marks

    def has(self, entry: Entry) -> bool:
        """Whether the entry was sent again."""
        names: list[str | Place] = [entry.name]
        if entry.record is not None:
            names.append(entry.record)
        return any((name, entry.content) in self._sent for name in names)

    def is_copy(self, entry: Entry) -> bool:
        """Whether the entry is a copy that a replay sent, and that was set aside again."""
        return entry.record is not None and (entry.record, entry.content) in self._copies

    def add(self, entry: Entry, copy: Place) -> None:
        """Take note of a committed copy."""
        self._add(entry.name, entry.record, copy, entry.content)

    def _add(self, name: str, record: Place | None, copy: Place, content: str) -> None:
        self._sent.add((name, content))
        if record is not None:
            self._sent.add((record, content))
        self._copies.add((copy, content))


def to_record(entry: Entry, copy: Place) -> tuple[bytes, bytes]:
    """Return key and value of a mark."""
    record = entry.record and tuple(entry.record)
    return entry.name.encode(), orjson.dumps({"content": entry.content, "record": record, "copy": tuple(copy)})
