"""Reads ahead: a thread a shard, bounded in bytes together, from an offset on and through all its descendants.

Nothing here is durable and nothing has to be: what was read ahead and isn't in a committed batch is read again.
"""

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pyspark_kinesis.client import Kinesis, backoff
from pyspark_kinesis.cursor import Cursor, Found
from pyspark_kinesis.errors import KinesisSourceError, UnreachableError
from pyspark_kinesis.offsets import Offset, Position, Range
from pyspark_kinesis.options import Options
from pyspark_kinesis.rows import Chunk
from pyspark_kinesis.shards import Shard, children, lineage, may_start

log = logging.getLogger("pyspark_kinesis")
_SLACK_MS = 5_000
_CHILDREN_SECONDS = 10.0
At = tuple[str, str]
JudgeLoss = Callable[[str, str, Position, Chunk | None], None]


@dataclass
class Buffer:
    """What was read of a shard and isn't released; `frontier.ReadAhead` is its view of it."""

    position: Position
    chunks: "deque[Chunk]" = field(default_factory=deque)
    ended: bool = False
    tip_ms: int | None = None
    finished: bool = False

    @property
    def unread(self) -> list[Chunk]:
        """The chunks in the shard's order."""
        return list(self.chunks)

    def release(self, position: Position) -> int | None:
        """Drop what lies up to `position`; return its bytes, or None if the buffer doesn't go on from there."""
        if position.last is None:
            return 0 if self.position.last is None else None
        if self.position.last is not None and int(position.last) < int(self.position.last):
            return None
        if self.position.last == position.last:
            return 0
        freed = 0
        while self.chunks:
            chunk = self.chunks[0]
            count = chunk.upto(position.last)
            if count == 0:
                break
            self.chunks.popleft()
            freed += chunk.nbytes
            if count < chunk.count:
                rest = chunk.tail(count)
                self.chunks.appendleft(rest)
                freed -= rest.nbytes
                break
        self.position = position
        return freed

    def between(self, wanted: Range) -> list[Chunk] | None:
        """Return the records of a range, or None if not all of them are here."""
        found: list[Chunk] = []
        for chunk in self.chunks:
            before = chunk.upto(str(int(wanted.first) - 1))
            part = chunk.head(chunk.upto(wanted.last)).tail(before)
            if part.count:
                found.append(part)
        return found if sum(chunk.count for chunk in found) == wanted.count else None


class Prefetch:
    """The buffers and their threads. `changed` guards all; it is notified when a buffer or `error` changes."""

    def __init__(self, kinesis: Kinesis, options: Options, judge_loss: JudgeLoss, *, bounded: bool = True) -> None:
        self.changed = threading.Condition()
        self.buffers: dict[At, Buffer] = {}
        self.known: dict[str, dict[str, Shard]] = {}
        self.error: KinesisSourceError | None = None
        self.until_ms: int | None = None
        self._kinesis = kinesis
        self._options = options
        self._judge_loss = judge_loss
        self._most_bytes = options.buffer_bytes if bounded else sys.maxsize
        self._bytes = 0
        self._stopped = threading.Event()

    @property
    def half_full(self) -> bool:
        """Whether half of what may be buffered is."""
        return self._bytes >= self._most_bytes // 2

    def start(self, offset: Offset, known: Mapping[str, Iterable[Shard]], iterators: Mapping[At, str]) -> None:
        """Read every shard of `offset` from its position on; `iterators` were taken before for some of them."""
        with self.changed:
            self.known = {stream: lineage(shards) for stream, shards in known.items()}
            for stream, found in offset.items():
                for shard, position in found.shards.items():
                    self._open(stream, shard, position, iterators.get((stream, shard)))

    def fail(self, error: KinesisSourceError) -> None:
        """Have `error` raised where Spark sees it."""
        with self.changed:
            self.error = self.error or error
            self.changed.notify_all()

    def stop(self) -> None:
        """End all threads; a call that is under way ends by itself."""
        self._stopped.set()
        with self.changed:
            self.changed.notify_all()

    def release(self, offset: Offset) -> bool:
        """Drop what lies up to `offset`; False if reading doesn't go on from there. The caller holds `changed`."""
        wanted = {(stream, shard): p for stream, found in offset.items() for shard, p in found.shards.items()}
        if not wanted.keys() <= self.buffers.keys():
            return False
        for at, position in wanted.items():
            freed = self.buffers[at].release(position)
            if freed is None:
                return False
            self._bytes -= freed
        for at in [at for at, buffer in self.buffers.items() if at not in wanted and buffer.ended]:
            if not self.buffers[at].chunks and not self._descends(at, wanted):
                del self.buffers[at]
        self.changed.notify_all()
        return True

    def finished(self) -> bool:
        """Whether every shard was read to where it was when `until_ms` was set. The caller holds `changed`."""
        return all(buffer.finished for buffer in self.buffers.values())

    def _descends(self, at: At, wanted: Mapping[At, Position]) -> bool:
        stream, shard = at
        known = self.known[stream].get(shard)
        return known is not None and any(
            (stream, parent) in wanted or self._descends((stream, parent), wanted) for parent in known.parents
        )

    def _open(self, stream: str, shard: str, position: Position, iterator: str | None = None) -> None:
        self.buffers[stream, shard] = Buffer(position, ended=position.ended)
        reading = threading.Thread(
            target=self._read, args=(stream, shard, position, iterator), name=f"kinesis-{stream}-{shard}", daemon=True
        )
        reading.start()

    def _read(self, stream: str, shard: str, position: Position, iterator: str | None) -> None:
        try:
            if not position.ended:
                self._read_to_end(stream, shard, position, iterator)
            if not self._stopped.is_set() and self.buffers[stream, shard].ended:
                self._follow_children(stream, shard)
        except KinesisSourceError as error:
            self.fail(error)
        except Exception as error:
            log.exception("reading %s of %s", shard, stream)
            self.fail(KinesisSourceError(f"reading {shard} of {stream} failed: {error!r}"))

    def _read_to_end(self, stream: str, shard: str, position: Position, iterator: str | None) -> None:
        cursor = Cursor(self._kinesis, self._options, stream, shard, position, iterator=iterator)
        buffer = self.buffers[stream, shard]
        pauses = backoff()
        failing = False
        while self._room() and not self._stopped.wait(cursor.wait):
            try:
                found = cursor.fetch()
            except UnreachableError as error:
                if not failing:
                    log.warning("%s; trying again until it answers", error)
                failing = True
                self._stopped.wait(next(pauses))
                continue
            if failing:
                log.warning("%s of %s is read again", shard, stream)
                failing, pauses = False, backoff()
            if self._take(stream, shard, buffer, found):
                return

    def _room(self) -> bool:
        """Wait until the buffers have room; False if reading is over."""
        with self.changed:
            self.changed.wait_for(lambda: self._stopped.is_set() or self._bytes < self._most_bytes)
        return not self._stopped.is_set()

    def _take(self, stream: str, shard: str, buffer: Buffer, found: Found) -> bool:
        """Buffer what was found; True when there is nothing more to read."""
        chunk = Chunk.of(found.records, lambda: self.known[stream][shard].hashes) if len(found.records) else None
        if found.lost:
            self._judge_loss(stream, shard, buffer.position, chunk)
        with self.changed:
            if chunk is not None:
                buffer.chunks.append(chunk)
                self._bytes += chunk.nbytes
            if found.tip:
                buffer.tip_ms = now_ms()
            buffer.ended = found.ended
            overtaken = chunk is not None and self.until_ms is not None and chunk.arrived_ms > self.until_ms + _SLACK_MS
            if self.until_ms is not None and (found.tip or overtaken) and not found.ended:
                buffer.finished = True
            if chunk is not None or buffer.finished:
                self.changed.notify_all()
        return found.ended or buffer.finished

    def _follow_children(self, stream: str, shard: str) -> None:
        """Find the children of a shard that was read to its end, and read those whose parents all were."""
        given_up = time.monotonic() + _CHILDREN_SECONDS
        pauses = backoff(most=1.0)
        while not self._stopped.is_set():
            try:
                known = lineage(self._kinesis.shards(stream))
            except UnreachableError as error:
                log.warning("%s; trying again", error)
                known = {}
            with self.changed:
                self.known[stream] = {**self.known[stream], **known}
                if children(self.known[stream], shard):
                    self._open_children(stream, shard)
                    self.buffers[stream, shard].finished = True
                    self.changed.notify_all()
                    return
                if self.until_ms is not None and time.monotonic() > given_up:
                    self.buffers[stream, shard].finished = True
                    self.changed.notify_all()
                    return
            self._stopped.wait(next(pauses))

    def _open_children(self, stream: str, shard: str) -> None:
        alive = {at for of, at in self.buffers if of == stream}
        ended = {at for at in alive if self.buffers[stream, at].ended}
        for child in children(self.known[stream], shard):
            if child.id not in alive and may_start(self.known[stream], child, alive, ended):
                self._open(stream, child.id, self.buffers[stream, shard].position.for_child())


def now_ms() -> int:
    """Return the time in milliseconds of the epoch."""
    return time.time_ns() // 1_000_000
