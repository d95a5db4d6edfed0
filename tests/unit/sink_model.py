"""Kafka and S3 in memory, for tests of a partition's writer: every call may be made to fail."""

import bisect
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pinline.objects import ObjectRange
from sink.actions import Action, Answer, DeadLetterError, Failure, Surroundings, perform
from sink.buffer import Batch, DeadLetter
from sink.partition import Observer, PartitionWriter, Rules, State
from sink.rotation import Limits, Reason
from sink.store import ObjectExistsError, StoreError

TOPIC, ID = "ann.pin", "id-1"


class Rec(NamedTuple):
    """A record."""

    offset: int
    value: bytes | None = b"{}"
    timestamp: int = 0
    key: bytes | None = None


class MemoryStore:
    """A bucket. `fault(call, key)` says what to do instead: None, "before" (nothing happened), "after" (it did)."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, Mapping[str, str]]] = {}
        self.fault: Callable[[str, str], str | None] = lambda _call, _key: None
        self.calls: list[tuple[str, str]] = []
        self.conditional = True

    def put_new(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        fault = self._called("PUT", key)
        if key in self.objects and self.conditional:
            raise ObjectExistsError(key)
        self.objects[key] = (body, metadata)
        if fault == "after":
            raise StoreError("timed out")

    def head(self, key: str) -> Mapping[str, str] | None:
        self._called("HEAD", key)
        return self.objects[key][1] if key in self.objects else None

    def list_after(self, prefix: str, after: str) -> tuple[list[str], bool]:
        self._called("LIST", prefix)
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        keys = keys[bisect.bisect_right(keys, after) :]
        return keys[:3], len(keys) > 3

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def _called(self, call: str, key: str) -> str | None:
        self.calls.append((call, key))
        fault = self.fault(call, key)
        if fault == "before":
            raise StoreError(f"{call} failed")
        return fault

    def offsets(self) -> list[int]:
        """The offsets of all lines (each line of the model is its offset), sorted."""
        return sorted(int(line) for body, _ in self.objects.values() for line in body.split())


class MemoryLetters:
    """The dead-letter topic."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.down = False

    def send(self, topic: str, partition: int, letters: Sequence[DeadLetter]) -> None:
        if self.down:
            raise DeadLetterError("down")
        self.offsets += [letter.record.offset for letter in letters]


class Story(Observer):
    """What writers told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.relocations: list[str] = []
        self.nulls = 0

    @property
    def reasons(self) -> list[Reason]:
        return [batch.reason for batch in self.batches]

    def rotated(self, writer: PartitionWriter, batch: Batch) -> None:
        self.batches.append(batch)

    def relocating(self, writer: PartitionWriter, why: str) -> None:
        self.relocations.append(why)

    def null(self, writer: PartitionWriter) -> None:
        self.nulls += 1


class World:
    """One partition's log, a store, a clock."""

    def __init__(self, log: Sequence[Rec]) -> None:
        self.log = list(log)
        self.store = MemoryStore()
        self.letters = MemoryLetters()
        self.story = Story()
        self.now = 1000.0
        self.log_start = 0
        self.around = Surroundings(self.store, self.letters, lambda _t, _p: self.log_start, "topics")

    def ranges(self) -> list[ObjectRange]:
        """What the objects cover, in order."""
        found = [ObjectRange.from_metadata(metadata) for _, metadata in self.store.objects.values()]
        return sorted((r for r in found if r), key=lambda r: r.first_offset)


class Owner:
    """A process that owns the partition: a writer and its consumer's position."""

    def __init__(self, world: World, *, flush: int = 3, topic_id: str = ID, rules: Rules | None = None) -> None:
        self.world = world
        self.position = 0
        rules = rules or Rules(Limits(flush, 1 << 20, wall_clock_s=5.0))
        self.writer = PartitionWriter(TOPIC, 0, topic_id, rules, world.story)
        self.pending: tuple[Action, Answer | Failure] | None = None

    def fetch(self, count: int = 5) -> None:
        """One turn of the poll loop: seek, then feed."""
        seek = self.writer.take_seek()
        if seek is not None:
            self.position = seek
        if self.writer.wants_records:
            records = [r for r in self.world.log if r.offset >= self.position][:count]
            self.writer.feed(records, self.world.now)
            self.position = records[-1].offset + 1 if records else self.position

    def begin(self) -> None:
        """Start the next action; the world has changed when it ends, the writer doesn't know yet."""
        if self.pending is None and (action := self.writer.next(self.world.now)):
            self.pending = (action, perform(action, TOPIC, 0, self.world.around))

    def end(self) -> None:
        """Tell the writer the outcome."""
        if self.pending is not None:
            action, answer = self.pending
            self.pending = None
            self.writer.done(action, answer, self.world.now)

    def act(self) -> None:
        """One action, whole."""
        self.begin()
        self.end()

    def settle(self) -> None:
        """Go on until the log's end is written or the writer stops."""
        for _ in range(20 * len(self.world.log) + 200):
            self.fetch()
            self.act()
            self.world.now += 0.5
            if self.writer.state is State.STOPPED:
                return


def posts(count: int) -> list[Rec]:
    """Records whose value is their offset."""
    return [Rec(n, str(n).encode()) for n in range(count)]
