"""A query's offset, as it stands in Spark's checkpoint: per stream, the shards that are being read and how far.

It is JSON of version 1; README.md says what each member means. A shard's position names the records of the batch that
ended there (`first`, `last`, `count`), so that a batch can be read again from the offset that ended it alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pyspark_kinesis.errors import OffsetError

VERSION = 1


@dataclass(frozen=True)
class Position:
    """How far a shard was read.

    Either `last` is a sequence number, and `first`..`last` are the `count` records of the shard's last batch, or
    nothing was read yet and `start` says where reading begins (`at_ms` for all but `trim_horizon`).
    `arrived_ms` is when `last` arrived; all that arrived before `seen_ms` was read. `ended`: the shard is closed and
    `last` is its last record. Times are milliseconds of the epoch.
    """

    start: Literal["trim_horizon", "timestamp", "latest"] | None = None
    at_ms: int | None = None
    first: str | None = None
    last: str | None = None
    count: int = 0
    arrived_ms: int | None = None
    seen_ms: int | None = None
    ended: bool = False

    def for_child(self) -> "Position":
        """Return where a child of this shard begins."""
        if self.start == "timestamp":
            return Position(start="timestamp", at_ms=self.at_ms)
        return Position(start="trim_horizon")


@dataclass(frozen=True)
class StreamOffset:
    """A stream, told apart from others of its name by when it was created, and its shards' positions by shard id."""

    created_ms: int
    shards: dict[str, Position] = field(default_factory=dict)


Offset = dict[str, StreamOffset]


@dataclass(frozen=True)
class Range:
    """The records of a shard from `first` to `last`, both included; `count` of them."""

    stream: str
    shard: str
    created_ms: int
    first: str
    last: str
    count: int


def to_json(offset: Offset) -> dict[str, Any]:
    """Return what Spark writes to its checkpoint."""
    streams = {
        stream: {
            "created": found.created_ms,
            "shards": {shard: _members(found.shards[shard]) for shard in sorted(found.shards)},
        }
        for stream, found in sorted(offset.items())
    }
    return {"version": VERSION, "streams": streams}


def from_json(value: Mapping[str, Any]) -> Offset:
    """Return the offset that a checkpoint holds. Raises OffsetError if it is none of this version."""
    version = value.get("version")
    if version != VERSION:
        raise OffsetError(
            f"the checkpoint's offset is of version {version!r}, and this source knows {VERSION}. Was it written by "
            "another source or a newer release? Use that one, or start with a new checkpointLocation."
        )
    try:
        return {
            stream: StreamOffset(
                int(found["created"]), {shard: _position(members) for shard, members in found["shards"].items()}
            )
            for stream, found in value["streams"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OffsetError(
            f"the checkpoint's offset is damaged ({error!r}): {dict(value)!r:.300}. Restore the checkpoint, or start "
            "with a new checkpointLocation and an initialPosition."
        ) from error


def ranges(start: Offset, end: Offset) -> list[Range]:
    """Return what lies between two offsets, shard by shard. Only `end` says what; `start` says what was read before."""
    found = []
    for stream, offset in sorted(end.items()):
        before = start[stream].shards if stream in start else {}
        for shard, position in sorted(offset.shards.items()):
            if position.last is None or position.first is None:
                continue
            if shard in before and before[shard].last == position.last:
                continue
            found.append(Range(stream, shard, offset.created_ms, position.first, position.last, position.count))
    return found


_MEMBERS = {
    "start": "start",
    "at": "at_ms",
    "first": "first",
    "last": "last",
    "count": "count",
    "arrived": "arrived_ms",
    "seen": "seen_ms",
    "ended": "ended",
}


def _members(position: Position) -> dict[str, Any]:
    return {name: value for name, key in _MEMBERS.items() if (value := getattr(position, key))}


def _position(members: Mapping[str, Any]) -> Position:
    position = Position(**{_MEMBERS[name]: value for name, value in members.items()})
    if (position.start is None) == (position.last is None):
        raise ValueError(f"a shard has either start or last: {members}")
    return position
