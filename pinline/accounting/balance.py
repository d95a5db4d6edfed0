"""Compare what each hop holds of one event type. Pure: facts in, a balance with everything missing by name out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pinline.objects import ObjectRange

Ints = NDArray[np.int64]
NO_KEY = np.iinfo(np.int64).min
"""Stands for the key of a line that has none that an event could have."""


@dataclass(frozen=True)
class Acknowledged:
    """The ledger's entries of one event type, for Kafka or for Kinesis."""

    keys: frozenset[str]
    records: int
    """Distinct (partition, offset), or (shard, sequence number)."""


@dataclass(frozen=True)
class Partition:
    """What Kafka holds of one partition. Offsets ascend."""

    offsets: Ints
    nulls: Ints
    dead_letters: Ints


@dataclass(frozen=True)
class ObjectLines:
    """One object: the offsets that it covers and the key on each of its lines (`NO_KEY` if it shows none)."""

    key: str
    partition: int
    range: ObjectRange | None
    keys: Ints


@dataclass(frozen=True)
class Lake:
    """What silver and quarantine hold of one event type."""

    silver_keys: Ints
    """A key for each row, so that one that stands twice shows."""
    silver_places: Mapping[str, Sequence[tuple[int, int]]]
    """Object → (line, key) of the rows that came from it, as `_object` and `_line` say."""
    quarantine: Mapping[str, frozenset[int]]
    """Object → lines."""
    quarantine_keys: frozenset[str]


@dataclass
class Balance:
    """The result for one event type; `balanced` is true when nothing is missing, doubled or left over."""

    acknowledged: int = 0
    kafka_records: int = 0
    resent_or_foreign: int = 0
    dead_letters: int = 0
    ignored_nulls: int = 0
    objects: int = 0
    lines: int = 0
    silver: int = 0
    quarantined: int = 0
    duplicates: int = 0
    missing_keys: list[str] = field(default_factory=list)
    keys_twice_in_silver: list[str] = field(default_factory=list)
    offsets_not_in_s3: list[str] = field(default_factory=list)
    offsets_in_two_objects: list[str] = field(default_factory=list)
    wrong_objects: list[str] = field(default_factory=list)
    lines_not_in_lake: list[str] = field(default_factory=list)
    silver_rows_without_a_line: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """What is wrong, by kind; empty lists left out."""
        return {name: value for name, value in vars(self).items() if isinstance(value, list) and value}

    @property
    def balanced(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Return the fields, `balanced` first."""
        return {"balanced": self.balanced, **asdict(self)}


def compare(
    acknowledged: Acknowledged,
    topic: str,
    topic_id: str | None,
    partitions: Mapping[int, Partition],
    objects: Iterable[ObjectLines],
    lake: Lake,
) -> Balance:
    """Return the balance of one event type.

    `objects` may be a generator: each object's lines are looked at once and let go. `topic_id` None: not compared.
    """
    balance = Balance(acknowledged=len(acknowledged.keys), silver=len(lake.silver_keys))
    lines = _Lines(lake, balance)
    ranges: dict[int, list[tuple[str, ObjectRange]]] = {partition: [] for partition in partitions}
    for item in objects:
        balance.objects += 1
        lines.check(item)
        if item.range is None:
            balance.wrong_objects.append(f"{item.key}: its metadata is not the sink's")
        elif topic_id is not None and item.range.topic_id != topic_id:
            balance.wrong_objects.append(
                f"{item.key}: of a topic with the id {item.range.topic_id}; {topic} now is {topic_id}"
            )
        elif item.range.record_count != len(item.keys):
            balance.wrong_objects.append(
                f"{item.key}: {len(item.keys)} lines, its metadata says {item.range.record_count}"
            )
        else:
            ranges.setdefault(item.partition, []).append((item.key, item.range))
    lines.check_silver_rows()
    for number, partition in partitions.items():
        _compare_offsets(f"{topic} partition {number}", partition, ranges[number], balance)
    balance.quarantined = sum(map(len, lake.quarantine.values()))
    balance.duplicates = balance.lines - balance.silver - balance.quarantined
    balance.resent_or_foreign = balance.kafka_records - acknowledged.records
    keys, counts = np.unique(lake.silver_keys, return_counts=True)
    balance.keys_twice_in_silver = [str(key) for key in keys[counts > 1].tolist()]
    silver_keys = {str(key) for key in keys.tolist()}
    balance.missing_keys = sorted(acknowledged.keys - silver_keys - lake.quarantine_keys, key=by_number)
    return balance


class _Lines:
    """Looks at every line once: in silver, in quarantine, or a duplicate of a silver key."""

    def __init__(self, lake: Lake, balance: Balance) -> None:
        self._lake = lake
        self._balance = balance
        self._silver = np.sort(lake.silver_keys)
        self._places = dict(lake.silver_places)

    def check(self, item: ObjectLines) -> None:
        self._balance.lines += len(item.keys)
        known = np.isin(item.keys, self._silver)
        quarantined = self._lake.quarantine.get(item.key, frozenset())
        self._balance.lines_not_in_lake += [
            f"{item.key} line {line}" for line in np.flatnonzero(~known).tolist() if line not in quarantined
        ]
        for line, key in self._places.pop(item.key, ()):
            if line >= len(item.keys) or item.keys[line] != key:
                self._balance.silver_rows_without_a_line.append(f"key {key}: {item.key} line {line} is another event")

    def check_silver_rows(self) -> None:
        """Name what is left: rows whose object was never seen."""
        for name, rows in sorted(self._places.items()):
            keys = ", ".join(str(key) for _, key in rows[:10]) + (", ..." if len(rows) > 10 else "")
            self._balance.silver_rows_without_a_line.append(
                f"{name} is gone, {len(rows)} silver rows came from it: {keys}"
            )


def _compare_offsets(place: str, partition: Partition, ranges: list[tuple[str, ObjectRange]], balance: Balance) -> None:
    nulls, dead = partition.nulls, np.intersect1d(partition.dead_letters, partition.offsets)
    records = np.setdiff1d(partition.offsets, np.union1d(nulls, dead))
    balance.kafka_records += len(partition.offsets)
    balance.ignored_nulls += len(nulls)
    balance.dead_letters += len(dead)
    covered = np.zeros(len(records), dtype=np.int64)
    for key, span in ranges:
        start, stop = np.searchsorted(records, [span.first_offset, span.last_offset + 1])
        covered[start:stop] += 1
        # offsets that Kafka has let go of can't be counted again
        held = len(partition.offsets) > 0 and span.first_offset >= partition.offsets[0]
        # a dead letter that no record follows is read again after a restart, and may be a line by then
        first_dead, end_dead = np.searchsorted(dead, [span.first_offset, span.last_offset + 1])
        if held and not 0 <= span.record_count - (stop - start) <= end_dead - first_dead:
            balance.wrong_objects.append(
                f"{key}: {span.record_count} records, Kafka holds {stop - start} "
                f"from offset {span.first_offset} to {span.last_offset}"
            )
    balance.offsets_not_in_s3 += [f"{place} offset {text}" for text in _spans(records[covered == 0])]
    balance.offsets_in_two_objects += [f"{place} offset {text}" for text in _spans(records[covered > 1])]


def _spans(offsets: Ints) -> Iterator[str]:
    """Yield `5` or `5-9` for each run of consecutive offsets."""
    if len(offsets):
        for run in np.split(offsets, np.flatnonzero(np.diff(offsets) != 1) + 1):
            yield str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"


def by_number(key: str) -> tuple[int, str]:
    """Order keys that are numbers as such, behind those that are none."""
    return (int(key), "") if key.lstrip("-").isdigit() else (0, key)
