"""What becomes of a batch's records, on literal rows, and the index of keys that decides."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.stream.keys import KeyIndex
from lakehouse.stream.verdicts import Verdicts, judge
from pinline.accounting.balance import Acknowledged
from pinline.accounting.streams import QuarantinedRecord, StreamTables, compare_stream
from pinline.events import USER

pytestmark = pytest.mark.unit

SCHEMA = pa.schema(
    [
        ("ind", pa.int64()),
        ("user_name", pa.string()),
        ("age", pa.int32()),
        ("date_joined", pa.timestamp("us", "UTC")),
        ("_shard", pa.string()),
        ("_sequence", pa.string()),
        ("_arrived", pa.timestamp("us", "UTC")),
        ("raw", pa.string()),
        ("reason", pa.string()),
        ("content", pa.int64()),
    ]
)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def row(sequence: int, ind: int | None, content: int, reason: str | None = None) -> dict[str, Any]:
    values = {"ind": ind, "content": content, "reason": reason, "_shard": "s", "_sequence": str(sequence)}
    return dict.fromkeys(SCHEMA.names) | values | {"raw": f"raw {sequence}"}


def verdicts(known: KeyIndex, *rows: dict[str, Any]) -> Verdicts:
    return judge(USER, pa.Table.from_pylist(rows, SCHEMA), known)


def places(found: Verdicts) -> tuple[list[str], list[str]]:
    return found.fresh["_sequence"].to_pylist(), found.quarantined["sequence"].to_pylist()


def test_the_first_of_a_key_is_the_row_and_what_follows_is_a_duplicate_or_in_conflict() -> None:
    found = verdicts(KeyIndex(ints(), ints()), row(1, 5, 100), row(2, 5, 100), row(3, 5, 200), row(4, 6, 100))
    assert places(found) == (["1", "4"], ["3"])
    assert found.quarantined.to_pylist() == [
        {
            "event": "user",
            "shard": "s",
            "sequence": "3",
            "reason": "key conflict: another event has the key 5",
            "raw": "raw 3",
        }
    ]
    assert (found.counts.inserted, found.counts.duplicate, found.counts.quarantined) == (2, 1, 1)


def test_a_batch_that_was_written_already_writes_nothing_again() -> None:
    known = KeyIndex(ints(), ints())
    rows = [row(1, 5, 100), row(2, 5, 200), row(3, None, 0, "not JSON")]
    first = verdicts(known, *rows)
    known.add(first.keys, first.contents)
    again = verdicts(known, *rows)
    assert places(first) == (["1"], ["3", "2"])
    assert places(again) == ([], ["3", "2"])


def test_a_batch_without_records_of_an_event_is_nothing() -> None:
    assert places(verdicts(KeyIndex(ints(1), ints(1)))) == ([], [])


@given(st.lists(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 3)), max_size=30), max_size=8))
def test_the_index_knows_what_was_added_and_nothing_else(batches: list[list[tuple[int, int]]]) -> None:
    index, model = KeyIndex(ints(), ints()), dict[int, int]()
    for batch in batches:
        new = {key: content for key, content in batch if key not in model}
        index.add(ints(*new), ints(*new.values()))
        model |= new
        known, contents = index.lookup(ints(*range(-60, 60)))
        assert {key: int(c) for key, k, c in zip(range(-60, 60), known, contents, strict=True) if k} == model


def test_an_index_of_many_keys_is_sorted_in_now_and_then() -> None:
    index = KeyIndex(ints(7), ints(70))
    for start in range(0, 100_000, 5_000):
        keys = np.arange(start + 10, start + 5_010, dtype=np.int64)
        index.add(keys, keys * 10)
    known, contents = index.lookup(ints(7, 8, 10, 50_000, 100_009, 100_010))
    assert known.tolist() == [True, False, True, True, True, False]
    assert contents.tolist() == [70, 0, 100, 500_000, 1_000_090, 0]
    assert len(index) == 100_001


def test_the_streaming_sides_balance_names_what_is_missing_and_what_is_double() -> None:
    bad = QuarantinedRecord("s", "9", "digest", "4")
    tables = StreamTables(ints(1, 2, 2), [bad, bad, bad._replace(content="of a stream made again")])
    found = compare_stream(Acknowledged(frozenset({"1", "2", "3", "4", "10"}), 6), tables)
    assert not found.balanced
    assert found.missing_keys == ["3", "10"]
    assert found.keys_twice_in_table == ["2"]
    assert found.quarantined_twice == ["s 9"]
    assert compare_stream(Acknowledged(frozenset(), 0), StreamTables(ints())).balanced
