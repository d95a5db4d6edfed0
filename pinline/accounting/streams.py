"""Compare what the streaming side holds of one event type with what Kinesis acknowledged. Pure, as `balance`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pinline.accounting.balance import Acknowledged, Ints, by_number


class QuarantinedRecord(NamedTuple):
    """A row of `stream.quarantine`; `key` is the event key as text, None when neither record nor ledger tells it."""

    shard: str
    sequence: str
    content: str
    """A digest: a stream that was made again has other records at the same places."""
    key: str | None


@dataclass(frozen=True)
class StreamTables:
    """What the streaming side's table and quarantine hold of one event type."""

    keys: Ints
    """A key for each row."""
    quarantined: Sequence[QuarantinedRecord] = ()


@dataclass
class StreamBalance:
    """The result for one event type; `balanced` is true when nothing is missing or doubled."""

    acknowledged: int = 0
    acknowledged_records: int = 0
    rows: int = 0
    quarantined: int = 0
    missing_keys: list[str] = field(default_factory=list)
    keys_twice_in_table: list[str] = field(default_factory=list)
    quarantined_twice: list[str] = field(default_factory=list)

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


def compare_stream(acknowledged: Acknowledged, tables: StreamTables) -> StreamBalance:
    """Return the balance of one event type's streaming side."""
    keys, counts = np.unique(tables.keys, return_counts=True)
    held = {str(key) for key in keys.tolist()}
    held |= {record.key for record in tables.quarantined if record.key is not None}
    return StreamBalance(
        acknowledged=len(acknowledged.keys),
        acknowledged_records=acknowledged.records,
        rows=len(tables.keys),
        quarantined=len(tables.quarantined),
        missing_keys=sorted(acknowledged.keys - held, key=by_number),
        keys_twice_in_table=[str(key) for key in keys[counts > 1].tolist()],
        quarantined_twice=sorted(_twice(record[:3] for record in tables.quarantined)),
    )


def _twice(places: Iterable[tuple[str, str, str]]) -> list[str]:
    counted = Counter(places)
    return [f"{shard} {sequence}" for (shard, sequence, _), count in counted.items() if count > 1]
