"""The dead-letter topic: key and value of the record as they were; headers say where it came from and why it is here.

Header names are those of Kafka Connect's framework (`errors.deadletterqueue.context.headers.enable`), as text.
"""

from collections.abc import Iterable
from dataclasses import dataclass

_TOPIC = "__connect.errors.topic"
_PARTITION = "__connect.errors.partition"
_OFFSET = "__connect.errors.offset"
_REASON = "__connect.errors.exception.message"


@dataclass(frozen=True)
class Origin:
    """Where a dead letter came from, and why it was not written."""

    topic: str
    partition: int
    offset: int
    reason: str

    def to_headers(self) -> list[tuple[str, bytes]]:
        """Return Kafka headers."""
        return [
            (_TOPIC, self.topic.encode()),
            (_PARTITION, str(self.partition).encode()),
            (_OFFSET, str(self.offset).encode()),
            (_REASON, self.reason.encode()),
        ]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]]) -> "Origin | None":
        """Read Kafka headers; None if they aren't a dead letter's."""
        found = dict(headers)
        try:
            return cls(
                found[_TOPIC].decode(), int(found[_PARTITION]), int(found[_OFFSET]), found.get(_REASON, b"").decode()
            )
        except (KeyError, ValueError):
            return None
