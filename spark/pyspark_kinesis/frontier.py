"""Where the next batch ends: pure arithmetic on the offset, what was read ahead, and the limit.

A parent and its children never share a batch. A shard that is read to its end leaves the offset when its children
enter it, in the first batch that has none of its records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from pyspark_kinesis.offsets import Offset, Position, StreamOffset
from pyspark_kinesis.rows import Chunk
from pyspark_kinesis.shards import Lineage, children, may_start


@dataclass(frozen=True)
class Limit:
    """What a batch may hold at most; None is no limit. A batch with anything at all has at least one record."""

    records: int | None = None
    size: int | None = None


class ReadAhead(Protocol):
    """What was read of a shard after its position in the offset. `tip_ms`: when nothing newer was there."""

    @property
    def unread(self) -> "list[Chunk]": ...
    @property
    def ended(self) -> bool: ...
    @property
    def tip_ms(self) -> int | None: ...


Ahead = Mapping[tuple[str, str], ReadAhead]


def next_end(
    start: Offset, ahead: Ahead, known: Mapping[str, Lineage], limit: Limit, stale_before: Mapping[str, int]
) -> Offset | None:
    """Return where the batch that begins at `start` ends, or None if there is nothing new.

    A position whose `seen_ms` is older than `stale_before` (by stream) is new enough to move the offset by itself:
    else an idle shard, restarted after the retention period, would look as if it had lost records.
    """
    fronts = {stream: _advance(stream, offset.shards, ahead, known[stream]) for stream, offset in start.items()}
    taken = _take(fronts, ahead, limit)
    if not taken and not _stale(start, ahead, stale_before):
        return None
    return {
        stream: StreamOffset(
            start[stream].created_ms,
            {shard: _moved(stream, shard, position, ahead, taken) for shard, position in front.items()},
        )
        for stream, front in fronts.items()
    }


def _advance(stream: str, shards: Mapping[str, Position], ahead: Ahead, known: Lineage) -> dict[str, Position]:
    """Return positions in which shards that have nothing left made way for their children."""
    front = dict(shards)
    waiting = list(front)
    while waiting:
        shard = waiting.pop()
        found = children(known, shard)
        done = {at for at in front if _done(ahead.get((stream, at)))}
        ready = found and all((stream, child.id) in ahead and may_start(known, child, front, done) for child in found)
        if shard not in done or not ready:
            continue
        position = front.pop(shard)
        for child in found:
            if child.id not in front:
                front[child.id] = position.for_child()
                waiting.append(child.id)
        waiting += [at for at in front if at not in waiting]
    return front


def _done(found: ReadAhead | None) -> bool:
    return found is not None and found.ended and not found.unread


def _take(
    fronts: Mapping[str, Mapping[str, Position]], ahead: Ahead, limit: Limit
) -> dict[tuple[str, str], list[Chunk]]:
    """Return the chunks that the batch takes, oldest shard first, a chunk of each in turn until the limit is met."""
    left = {
        (stream, shard): list(found.unread)
        for stream, front in fronts.items()
        for shard in front
        if (found := ahead.get((stream, shard))) is not None and found.unread
    }
    turns = sorted(left, key=lambda at: (left[at][0].arrived_ms, at))
    taken: dict[tuple[str, str], list[Chunk]] = {}
    records, size = limit.records, limit.size
    while turns:
        for at in list(turns):
            chunk = left[at].pop(0)
            part = chunk.head(_fitting(chunk, records, size, at_least_one=not taken))
            if part.count:
                taken.setdefault(at, []).append(part)
            records = None if records is None else records - part.count
            size = None if size is None else size - part.nbytes
            if part.count < chunk.count or (records is not None and records <= 0) or (size is not None and size <= 0):
                return taken
            if not left[at]:
                turns.remove(at)
    return taken


def _fitting(chunk: Chunk, records: int | None, size: int | None, *, at_least_one: bool) -> int:
    count = chunk.count if records is None else min(chunk.count, records)
    if size is not None and chunk.nbytes > size:
        count = min(count, size * chunk.count // chunk.nbytes)
    return max(count, 1) if at_least_one else count


def _moved(
    stream: str, shard: str, position: Position, ahead: Ahead, taken: Mapping[tuple[str, str], list[Chunk]]
) -> Position:
    found, chunks = ahead.get((stream, shard)), taken.get((stream, shard))
    if found is None:
        return position
    count = sum(chunk.count for chunk in chunks) if chunks else 0
    all_taken = count == sum(chunk.count for chunk in found.unread)
    seen = max(found.tip_ms or 0, position.seen_ms or 0) if all_taken else position.seen_ms
    if not chunks:
        return replace(position, seen_ms=seen or None)
    arrived = chunks[-1].arrived_ms
    return Position(
        first=chunks[0].first,
        last=chunks[-1].last,
        count=count,
        arrived_ms=arrived,
        seen_ms=max(arrived, seen or 0),
        ended=found.ended and all_taken,
    )


def _stale(start: Offset, ahead: Ahead, stale_before: Mapping[str, int]) -> bool:
    return any(
        position.seen_ms is not None and position.seen_ms < stale_before[stream] <= (found.tip_ms or 0)
        for stream, offset in start.items()
        for shard, position in offset.shards.items()
        if (found := ahead.get((stream, shard))) is not None and not found.unread
    )
