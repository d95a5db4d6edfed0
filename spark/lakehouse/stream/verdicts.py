"""What becomes of each cleaned record: a new row, a duplicate, or quarantine. Pure: Arrow tables in and out.

In: rows in the order in which they count (the first of a key wins), with the silver columns, `_shard`, `_sequence`,
`_arrived`, `raw`, `reason` (null for a clean row) and `content` (a digest of the silver columns).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.progress import Counts
from lakehouse.schemas import SILVER, STREAM_ORIGIN
from lakehouse.stream.keys import Ints, KeyIndex
from pinline.events import EventType

QUARANTINE = pa.schema([(name, pa.string()) for name in ("event", "shard", "sequence", "reason", "raw")])


@dataclass(frozen=True)
class Verdicts:
    """What a batch's records of one event became."""

    event: EventType
    fresh: pa.Table
    """Rows to write, with the columns of the event's table."""
    keys: Ints
    contents: Ints
    """Of `fresh`."""
    quarantined: pa.Table
    """Rows of `QUARANTINE`."""
    counts: Counts


def judge(event: EventType, cleaned: pa.Table, known: KeyIndex) -> Verdicts:
    """Decide about each row; `known` is what the event's table holds."""
    clean = pc.is_null(cleaned["reason"])
    candidates, refused = cleaned.filter(clean), cleaned.filter(pc.invert(clean))
    keys, contents = _ints(candidates["ind"]), _ints(candidates["content"])
    stored, winners = known.lookup(keys)
    firsts, group = np.unique(keys, return_index=True, return_inverse=True)[1:]
    winners = np.where(stored, winners, contents[firsts][group])
    fresh = np.zeros(len(keys), dtype=np.bool_)
    fresh[firsts] = True
    fresh &= ~stored
    conflict = winners != contents
    conflicts = candidates.filter(pa.array(conflict))
    reasons = [f"key conflict: another event has the key {key}" for key in conflicts["ind"].to_pylist()]
    columns = [*SILVER[event.name].names, *STREAM_ORIGIN]
    quarantined = [
        _quarantine(event, refused, refused["reason"]),
        _quarantine(event, conflicts, pa.array(reasons, pa.string())),
    ]
    counts = Counts(
        inserted=int(fresh.sum()),
        duplicate=int((~fresh & ~conflict).sum()),
        quarantined=sum(map(len, quarantined)),
    )
    return Verdicts(
        event,
        candidates.select(columns).filter(pa.array(fresh)),
        keys[fresh],
        contents[fresh],
        pa.concat_tables(quarantined),
        counts,
    )


def _quarantine(event: EventType, rows: pa.Table, reasons: pa.Array) -> pa.Table:
    values = [pa.array([event.name] * len(rows), pa.string()), rows["_shard"], rows["_sequence"], reasons, rows["raw"]]
    return pa.table(values, schema=QUARANTINE)


def _ints(column: pa.ChunkedArray) -> Ints:
    found: Ints = column.to_numpy().astype(np.int64)
    return found
