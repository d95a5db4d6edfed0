"""Shards and who descends from whom: a child is read only after all its parents were read to their end."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """A shard as ListShards tells it; `hashes` is its range of hash keys, both ends included."""

    id: str
    parents: tuple[str, ...] = ()
    closed: bool = False
    hashes: tuple[int, int] = (0, 2**128 - 1)


Lineage = Mapping[str, Shard]


def lineage(shards: Iterable[Shard]) -> dict[str, Shard]:
    """Return shards by their ids."""
    return {shard.id: shard for shard in shards}


def roots(known: Lineage) -> list[Shard]:
    """Return the shards whose parents aren't kept any more: the oldest ones there are."""
    return [shard for shard in known.values() if not any(parent in known for parent in shard.parents)]


def children(known: Lineage, parent: str) -> list[Shard]:
    """Return the shards that a split or merge made of `parent`."""
    return [shard for shard in known.values() if parent in shard.parents]


def reachable(known: Lineage, shard: str, alive: Collection[str]) -> bool:
    """Whether `shard` is among the shards being read, or will be: an ancestor is."""
    if shard in alive:
        return True
    found = known.get(shard)
    return found is not None and any(reachable(known, parent, alive) for parent in found.parents)


def may_start(known: Lineage, shard: Shard, alive: Collection[str], ended: Collection[str]) -> bool:
    """Whether a child's parents were all read to their end, or are gone for good."""
    return all(parent in ended or not reachable(known, parent, alive) for parent in shard.parents)


def outlived(known: Lineage, frontier: Collection[str]) -> list[Shard]:
    """Return the oldest shards that nobody in `frontier` leads to, and that don't lead to it: what to read when the
    shards between are gone."""
    ancestors: set[str] = set()
    waiting = [parent for shard in frontier if shard in known for parent in known[shard].parents]
    while waiting:
        shard = waiting.pop()
        if shard not in ancestors and shard in known:
            ancestors.add(shard)
            waiting += known[shard].parents
    return [
        shard
        for shard in roots(known)
        if shard.id not in ancestors and shard.id not in frontier and not reachable(known, shard.id, frontier)
    ]
