"""What a partition holds in memory: lines and dead letters on their way to becoming one object."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pinline.objects import ObjectRange
from sink.rotation import Fill, Reason
from sink.store import CONSUMED_FROM


class Record(Protocol):
    """A record of a partition, as kafka-python returns it."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True)
class DeadLetter:
    """A record that can't be a line, and why."""

    record: Record
    reason: str


@dataclass(frozen=True)
class Batch:
    """A cut: one object (`key` is None if no record was in it), and the dead letters that go out before it."""

    key: str | None
    body: bytes
    metadata: Mapping[str, str]
    dead_letters: tuple[DeadLetter, ...]
    reason: Reason
    consumed_from: int
    last_offset: int
    records: int


@dataclass
class Buffer:
    """Lines and dead letters, in the order of their offsets."""

    opened_at: float = 0.0
    consumed_from: int = -1
    last_offset: int = -1
    first_record: int = -1
    first_timestamp: int = -1
    size: int = 0
    lines: list[bytes] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """True if there is nothing to write or send (nulls alone are nothing)."""
        return not self.lines and not self.dead_letters

    def fill(self, now: float) -> Fill:
        """How far it has come; dead letters count as records do, so that they too go out in time."""
        age = 0.0 if self.empty else now - self.opened_at
        return Fill(len(self.lines) + len(self.dead_letters), self.size, age)

    def add_line(self, record: Record, line: bytes, now: float) -> None:
        """Take a record as a line."""
        self._consume(record, now)
        if not self.lines:
            self.first_record = record.offset
            self.first_timestamp = record.timestamp
        self.lines.append(line)
        self.size += len(line) + 1

    def add_dead_letter(self, record: Record, reason: str, now: float) -> None:
        """Take a record that is not a line."""
        self._consume(record, now)
        self.dead_letters.append(DeadLetter(record, reason))
        self.size += len(record.value or b"")

    def add_null(self, record: Record, now: float) -> None:
        """Pass a null value: only its offset counts."""
        self._consume(record, now)

    def _consume(self, record: Record, now: float) -> None:
        if self.empty:
            self.opened_at = now
        if self.consumed_from < 0:
            self.consumed_from = record.offset
        self.last_offset = record.offset

    def cut(self, key: str | None, topic_id: str, reason: Reason, mark: Mapping[str, str], *, compress: bool) -> Batch:
        """Return what is held as a batch; `key` is the object's (None: no line), `mark` joins its metadata."""
        body = b"\n".join(self.lines) + b"\n" if self.lines else b""
        covers = ObjectRange(topic_id, self.first_record, self.last_offset, len(self.lines))
        return Batch(
            key,
            gzip.compress(body, compresslevel=6, mtime=0) if compress and body else body,
            covers.to_metadata() | {CONSUMED_FROM: str(self.consumed_from), **mark},
            tuple(self.dead_letters),
            reason,
            self.consumed_from,
            self.last_offset,
            len(self.lines),
        )
