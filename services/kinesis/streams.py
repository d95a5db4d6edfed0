"""What a stream is, and how it changes: pure values, no I/O.

A change returns a new Stream or raises AWS's error. Resharding has two halves: `begin_*` marks shards as closing and
names their children; `finish_step`, called with the offsets of the closed shards' end markers, closes the parents and
opens the children in one step, so that the open shards always cover the key space. UpdateShardCount is several such
steps, each of splits in two or merges of two, as AWS does it.
"""

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from kinesis.errors import KinesisError, invalid_argument, shard_not_found, validation
from kinesis.sequence import HASH_KEYS, Sequence, encode, shard_id, shard_index, uniform_ranges

Status = Literal["CREATING", "ACTIVE", "UPDATING", "DELETING", "DELETED"]
Range = tuple[int, int]

DEFAULT_RETENTION_HOURS = 24
MAX_RETENTION_HOURS = 8760
ON_DEMAND_SHARDS = 4
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Shard:
    """A shard, which is the partition of number `index` of the stream's topic."""

    index: int
    start: int
    end: int
    created: int
    """Second of creation; greater than its parents'."""
    parents: tuple[int, ...] = ()
    closed_ms: int | None = None
    ending: int | None = None
    """Offset of the marker that closed it: no record of the shard lies behind."""

    @property
    def id(self) -> str:
        """Return the shard's id."""
        return shard_id(self.index)

    @property
    def open(self) -> bool:
        """Whether it takes records (unless it is closing)."""
        return self.ending is None


@dataclass(frozen=True)
class Child:
    """A shard to come: its hash keys and its parents."""

    start: int
    end: int
    parents: tuple[int, ...]


@dataclass(frozen=True)
class Stream:
    """A stream. `version` counts its changes, also over deletion; `generation` how often the name was created."""

    name: str
    epoch: int
    """Second of creation; greater than of any earlier stream of that name."""
    generation: int
    version: int
    topic: str
    status: Status
    mode: str = "PROVISIONED"
    retention_hours: int = DEFAULT_RETENTION_HOURS
    max_record_kib: int = 1024
    strategy: str = "USER_PARTITION_KEY"
    tags: dict[str, str] = field(default_factory=dict)
    shards: tuple[Shard, ...] = ()
    next_index: int = 0
    children: tuple[Child, ...] = ()
    """The shards that the resharding under way will open."""
    target: int | None = None
    """The count that UpdateShardCount is on its way to."""

    @cached_property
    def by_index(self) -> dict[int, Shard]:
        """Return the shards by index."""
        return {shard.index: shard for shard in self.shards}

    @cached_property
    def open_shards(self) -> list[Shard]:
        """Return the open shards in the order of their hash keys."""
        return sorted((shard for shard in self.shards if shard.open), key=lambda shard: shard.start)

    @cached_property
    def _starts(self) -> list[int]:
        return [shard.start for shard in self.open_shards]

    @cached_property
    def closing(self) -> frozenset[int]:
        """Return the indexes of the shards that the resharding under way closes."""
        return frozenset(parent for child in self.children for parent in child.parents)

    @property
    def writable(self) -> bool:
        """Whether records are taken."""
        return self.status in ("ACTIVE", "UPDATING")

    @property
    def retention_ms(self) -> int:
        """How long a record is kept."""
        return self.retention_hours * _HOUR_MS

    def shard_for(self, hash_key: int) -> Shard:
        """Return the open shard that a hash key belongs to."""
        return self.open_shards[bisect_right(self._starts, hash_key) - 1]

    def sequence(self, shard: Shard, position: int) -> int:
        """Return a sequence number of a shard; a record at offset n has position n + 1."""
        return encode(Sequence(shard.created, position, self.epoch, shard.index))

    def opened_ms(self, shard: Shard) -> int:
        """Return when a shard began to take records."""
        parents = [self.by_index.get(parent) for parent in shard.parents]
        return max((parent.closed_ms or 0 for parent in parents if parent), default=self.epoch * 1000)

    def visible_shards(self, now_ms: int) -> list[Shard]:
        """Return the shards that AWS would list: open, or closed within the retention period."""
        horizon = now_ms - self.retention_ms
        return [shard for shard in self.shards if shard.closed_ms is None or shard.closed_ms >= horizon]

    def children_of(self, shard: Shard) -> list[Shard]:
        """Return the shards that have `shard` as a parent."""
        return [other for other in self.shards if shard.index in other.parents]

    def find(self, text: str, account: str) -> Shard:
        """Return the shard that a client names. Raises ResourceNotFoundException."""
        index = shard_index(text)
        shard = self.by_index.get(index) if index is not None else None
        if shard is None:
            name = text if index is None else shard_id(index)
            raise shard_not_found(name, self.name, account)
        return shard


def create(name: str, count: int, *, now_s: int, before: Stream | None, topic: str, **values: Any) -> Stream:
    """Return a new stream of `count` shards, in state CREATING; `before` is the deleted one of that name."""
    epoch = max(now_s, before.epoch + 1) if before else now_s
    shards = tuple(Shard(i, start, end, epoch) for i, (start, end) in enumerate(uniform_ranges(count)))
    return Stream(
        name=name,
        epoch=epoch,
        generation=before.generation + 1 if before else 1,
        version=before.version if before else 0,
        topic=topic,
        status="CREATING",
        shards=shards,
        next_index=count,
        **values,
    )


def require_active(stream: Stream, account: str) -> None:
    """Raise ResourceInUseException unless the stream is ACTIVE."""
    if stream.status != "ACTIVE":
        raise KinesisError(
            "ResourceInUseException",
            f"Stream {stream.name} under account {account} not ACTIVE, instead in state {stream.status}",
        )


def _require_provisioned(stream: Stream, operation: str) -> None:
    if stream.mode != "PROVISIONED":
        raise validation(f"{operation} is not supported on a stream of mode {stream.mode}: {stream.name}")


def _require_open(shard: Shard, stream: Stream, account: str) -> None:
    if not shard.open:
        raise invalid_argument(
            f"Shard {shard.id} in stream {stream.name} under account {account} has already been merged or split, "
            "and thus is not eligible for merging or splitting."
        )


def begin_split(stream: Stream, shard_text: str, new_start: int, account: str) -> Stream:
    """Return the stream with a shard closing, whose second child begins at hash key `new_start`."""
    _require_provisioned(stream, "SplitShard")
    require_active(stream, account)
    shard = stream.find(shard_text, account)
    _require_open(shard, stream, account)
    if not shard.start + 1 < new_start < shard.end:
        raise invalid_argument(
            f"NewStartingHashKey {new_start} used in SplitShard() on shard {shard.id} in stream {stream.name} under "
            f"account {account} is not both greater than one plus the shard's StartingHashKey {shard.start} and less "
            f"than the shard's EndingHashKey {shard.end}."
        )
    parents = (shard.index,)
    children = (Child(shard.start, new_start - 1, parents), Child(new_start, shard.end, parents))
    return replace(stream, status="UPDATING", children=children)


def begin_merge(stream: Stream, shard_text: str, adjacent_text: str, account: str) -> Stream:
    """Return the stream with two neighbouring shards closing, in either order."""
    _require_provisioned(stream, "MergeShards")
    require_active(stream, account)
    first, second = stream.find(shard_text, account), stream.find(adjacent_text, account)
    for shard in (first, second):
        _require_open(shard, stream, account)
    low, high = sorted((first, second), key=lambda shard: shard.start)
    if low.end + 1 != high.start:
        raise invalid_argument(
            f"Shards {first.id} and {second.id} in stream {stream.name} under account {account} are not an adjacent "
            "pair of shards eligible for merging"
        )
    return replace(stream, status="UPDATING", children=(Child(low.start, high.end, (first.index, second.index)),))


def begin_update_count(stream: Stream, target: int, account: str, *, limits: bool) -> Stream:
    """Return the stream on its way to `target` shards of equal width."""
    _require_provisioned(stream, "UpdateShardCount")
    require_active(stream, account)
    count = len(stream.open_shards)
    if limits and target > 2 * count:
        raise KinesisError(
            "LimitExceededException",
            f"UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: "
            f"{count} Target shard count: {target}",
        )
    if limits and 2 * target < count:
        raise KinesisError(
            "LimitExceededException",
            f"UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: "
            f"{count} Target shard count: {target}",
        )
    return replace(stream, status="UPDATING", target=target, children=plan_step(stream.open_shards, target))


def plan_step(open_shards: list[Shard], target: int) -> tuple[Child, ...]:
    """Return the next splits, or else merges, towards `target` equal shards; nothing when they are equal.

    Shards that a boundary runs through are split first (in the middle one, if there are several), then neighbours
    within one target range are merged two by two.
    """
    wanted = uniform_ranges(target)
    starts = [start for start, _ in wanted]
    splits: list[Child] = []
    for shard in open_shards:
        inside = [start for start in starts if shard.start < start <= shard.end]
        if inside:
            middle = inside[len(inside) // 2]
            splits += [Child(shard.start, middle - 1, (shard.index,)), Child(middle, shard.end, (shard.index,))]
    if splits:
        return tuple(splits)
    groups: dict[int, list[Shard]] = {}
    for shard in open_shards:
        groups.setdefault(bisect_right(starts, shard.start), []).append(shard)
    return tuple(
        Child(low.start, high.end, (low.index, high.index))
        for group in groups.values()
        for low, high in zip(group[::2], group[1::2], strict=False)
    )


def finish_step(stream: Stream, endings: dict[int, int], now_ms: int) -> Stream:
    """Return the stream with the closing shards closed at `endings` (index to offset) and their children open."""
    if not stream.children:
        return replace(stream, status="ACTIVE", target=None)
    created = max(now_ms // 1000, 1 + max(stream.by_index[parent].created for parent in stream.closing))
    shards = [
        replace(shard, closed_ms=now_ms, ending=endings[shard.index]) if shard.index in stream.closing else shard
        for shard in stream.visible_shards(now_ms)
    ]
    shards += [
        Shard(stream.next_index + number, child.start, child.end, created, child.parents)
        for number, child in enumerate(stream.children)
    ]
    changed = replace(
        stream, shards=tuple(shards), next_index=stream.next_index + len(stream.children), children=(), status="ACTIVE"
    )
    if stream.target is None:
        return changed
    further = plan_step(changed.open_shards, stream.target)
    if further:
        return replace(changed, children=further, status="UPDATING")
    return replace(changed, target=None)


def to_json(stream: Stream) -> dict[str, Any]:
    """Return a stream as JSON: hash keys and sequence numbers as text, since JSON's numbers are too small."""
    return {
        "name": stream.name,
        "epoch": stream.epoch,
        "generation": stream.generation,
        "topic": stream.topic,
        "status": stream.status,
        "mode": stream.mode,
        "retention_hours": stream.retention_hours,
        "max_record_kib": stream.max_record_kib,
        "strategy": stream.strategy,
        "tags": stream.tags,
        "next_index": stream.next_index,
        "target": stream.target,
        "shards": [
            {
                "index": shard.index,
                "range": [str(shard.start), str(shard.end)],
                "created": shard.created,
                "parents": shard.parents,
                "closed_ms": shard.closed_ms,
                "ending": shard.ending,
            }
            for shard in stream.shards
        ],
        "children": [
            {"range": [str(child.start), str(child.end)], "parents": child.parents} for child in stream.children
        ],
    }


def from_json(value: dict[str, Any], version: int) -> Stream:
    """Return the stream that `to_json` wrote."""
    plain = {key: value[key] for key in value.keys() - {"shards", "children"}}
    return Stream(
        version=version,
        shards=tuple(
            Shard(
                index=shard["index"],
                start=int(shard["range"][0]),
                end=int(shard["range"][1]),
                created=shard["created"],
                parents=tuple(shard["parents"]),
                closed_ms=shard["closed_ms"],
                ending=shard["ending"],
            )
            for shard in value["shards"]
        ),
        children=tuple(
            Child(int(child["range"][0]), int(child["range"][1]), tuple(child["parents"]))
            for child in value["children"]
        ),
        **plain,
    )


def covers_key_space(stream: Stream) -> bool:
    """Whether the open shards hold every hash key exactly once."""
    expected = 0
    for shard in stream.open_shards:
        if shard.start != expected:
            return False
        expected = shard.end + 1
    return expected == HASH_KEYS
