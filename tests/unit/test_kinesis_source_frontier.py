"""Where a batch ends, who may be read, what is a loss: the source's pure parts."""

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from pyspark_kinesis.aggregated import MAGIC, take_apart
from pyspark_kinesis.client import Answer
from pyspark_kinesis.cursor import Cursor
from pyspark_kinesis.errors import IteratorExpiredError, OffsetError
from pyspark_kinesis.frontier import Limit, next_end
from pyspark_kinesis.losses import may_be_lost
from pyspark_kinesis.offsets import Offset, Position, StreamOffset, from_json, ranges, to_json
from pyspark_kinesis.options import Options
from pyspark_kinesis.rows import Chunk, Records
from pyspark_kinesis.shards import Shard, lineage, may_start, outlived, roots

pytestmark = pytest.mark.unit

HOUR = 3_600_000
NONE = {"s": 0}
START = Position(start="trim_horizon")


@dataclass
class Read:
    """What was read ahead of a shard."""

    unread: list[Chunk] = field(default_factory=list)
    ended: bool = False
    tip_ms: int | None = None


def chunk(*numbers: int) -> Chunk:
    """Return records whose sequence numbers and arrivals (ms) are `numbers`."""
    records = Records(
        ["k"] * len(numbers), [b"0123456789"] * len(numbers), [str(n) for n in numbers], [n * 1000 for n in numbers]
    )
    return Chunk.of(records, lambda: (0, 2**128 - 1))


def offset(**shards: Position) -> Offset:
    return {"s": StreamOffset(1, shards)}


def end(start: Offset, ahead: dict[str, Read], *known: Shard, limit: Limit | None = None) -> Any:
    """Return the next end's positions by shard, or None."""
    read = {("s", shard): found for shard, found in ahead.items()}
    shards = lineage([*known, *(Shard(shard) for shard in ahead if shard not in {k.id for k in known})])
    found = next_end(start, read, {"s": shards}, limit or Limit(), NONE)
    return found and found["s"].shards


def test_a_batch_ends_at_the_last_record_read() -> None:
    found = end(offset(a=START), {"a": Read([chunk(1, 2), chunk(5)], tip_ms=9)})
    assert found == {"a": Position(first="1", last="5", count=3, arrived_ms=5, seen_ms=9)}


def test_nothing_new_is_no_batch() -> None:
    assert end(offset(a=START, b=Position(first="1", last="1", count=1)), {"a": Read(), "b": Read(tip_ms=5)}) is None


def test_a_closed_shard_with_nothing_left_does_not_make_a_batch() -> None:
    child = Shard("b", ("a",))
    assert end(offset(a=START), {"a": Read(ended=True), "b": Read()}, child) is None


def test_a_parent_and_its_child_never_share_a_batch() -> None:
    child = Shard("b", ("a",))
    ahead = {"a": Read([chunk(1)], ended=True), "b": Read([chunk(2)])}
    first = end(offset(a=START), ahead, child)
    assert first == {"a": Position(first="1", last="1", count=1, arrived_ms=1, seen_ms=1, ended=True)}
    second = end({"s": StreamOffset(1, first)}, {**ahead, "a": Read(ended=True)}, child)
    assert set(second) == {"b"}


def test_a_child_of_two_waits_for_both() -> None:
    child = Shard("c", ("a", "b"))
    ahead = {"a": Read(ended=True), "b": Read([chunk(1)], ended=True), "c": Read([chunk(2)])}
    assert set(end(offset(a=START, b=START), ahead, child)) == {"a", "b"}
    ahead["b"] = Read(ended=True)
    assert set(end(offset(a=START, b=START), ahead, child)) == {"c"}


def test_an_empty_generation_is_stepped_over() -> None:
    known = [Shard("b", ("a",)), Shard("c", ("b",))]
    ahead = {"a": Read(ended=True), "b": Read(ended=True), "c": Read([chunk(3)])}
    assert set(end(offset(a=START), ahead, *known)) == {"c"}


def test_all_children_enter_with_the_first_record_of_one() -> None:
    known = [Shard("b", ("a",)), Shard("c", ("a",))]
    found = end(offset(a=START), {"a": Read(ended=True), "b": Read([chunk(3)]), "c": Read()}, *known)
    assert found["c"] == START
    assert found["b"].last == "3"


def test_a_child_begins_at_its_parents_time() -> None:
    found = end(
        offset(a=Position(start="timestamp", at_ms=7)),
        {"a": Read(ended=True), "b": Read([chunk(8)]), "c": Read()},
        Shard("b", ("a",)),
        Shard("c", ("a",)),
    )
    assert found["c"] == Position(start="timestamp", at_ms=7)


@pytest.mark.parametrize(("limit", "count"), [(Limit(records=3), 3), (Limit(records=1), 1), (Limit(size=1), 1)])
def test_a_limit_is_kept_and_one_record_always_fits(limit: Limit, count: int) -> None:
    found = end(offset(a=START, b=START), {"a": Read([chunk(1, 2)]), "b": Read([chunk(3, 4)])}, limit=limit)
    assert sum(position.count for position in found.values()) == count


def test_a_limit_takes_the_oldest_shard_first() -> None:
    ahead = {"a": Read([chunk(5)]), "b": Read([chunk(3)])}
    found = end(offset(a=START, b=START), ahead, limit=Limit(records=1))
    assert (found["a"], found["b"].last) == (START, "3")


def test_an_idle_shards_position_is_confirmed_before_it_looks_like_a_loss() -> None:
    at = Position(first="1", last="1", count=1, arrived_ms=1, seen_ms=10)
    ahead = {("s", "a"): Read(tip_ms=100)}
    known = {"s": lineage([Shard("a")])}
    assert next_end(offset(a=at), ahead, known, Limit(), {"s": 10}) is None
    found = next_end(offset(a=at), ahead, known, Limit(), {"s": 50})
    assert found is not None
    assert found["s"].shards["a"].seen_ms == 100
    assert ranges(offset(a=at), found) == []


def test_a_batchs_ranges_follow_from_its_end() -> None:
    before = offset(a=Position(first="1", last="2", count=2), b=Position(first="5", last="6", count=2))
    after = offset(
        a=Position(first="1", last="2", count=2, seen_ms=7), b=Position(first="7", last="9", count=3), c=START
    )
    [found] = ranges(before, after)
    assert (found.shard, found.first, found.last, found.count) == ("b", "7", "9", 3)


def test_an_offset_survives_json() -> None:
    given = offset(
        a=Position(first="1", last="2", count=2, arrived_ms=5, seen_ms=6, ended=True),
        b=Position(start="latest", at_ms=3, seen_ms=3),
        c=START,
    )
    assert from_json(json.loads(json.dumps(to_json(given)))) == given


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"version": 2},
        {"version": 1, "streams": {"s": {}}},
        {"version": 1, "streams": {"s": {"created": 1, "shards": {"a": {}}}}},
    ],
)
def test_another_offset_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(OffsetError, match="checkpointLocation"):
        from_json(value)


def test_a_parent_that_will_be_read_holds_its_child_back() -> None:
    known = lineage([Shard("a"), Shard("c", ("a",)), Shard("d"), Shard("e", ("c", "d"))])
    assert not may_start(known, known["e"], {"a", "d"}, {"d"})
    assert may_start(known, known["e"], {"d"}, {"d"})


def test_the_oldest_shards_are_those_without_parents() -> None:
    known = lineage([Shard("b", ("expired",)), Shard("c", ("b",))])
    assert [shard.id for shard in roots(known)] == ["b"]


def test_what_lies_behind_an_expired_shard_is_read_from_its_beginning() -> None:
    known = lineage([Shard("c", ("expired",)), Shard("d", ("c",)), Shard("x"), Shard("y", ("x",))])
    assert [shard.id for shard in outlived(known, {"y"})] == ["c"]


@pytest.mark.parametrize(
    ("position", "lost"),
    [
        (Position(last="1", arrived_ms=20 * HOUR, seen_ms=20 * HOUR), True),
        (Position(last="1", arrived_ms=1 * HOUR, seen_ms=29 * HOUR), False),
        (Position(last="1", arrived_ms=1 * HOUR, seen_ms=2 * HOUR), True),
        (Position(start="trim_horizon"), False),
        (Position(start="latest", at_ms=1, seen_ms=1), True),
    ],
)
def test_a_loss_is_what_was_unread_for_a_retention_period(position: Position, lost: bool) -> None:
    assert may_be_lost(position, now_ms=30 * HOUR, retention_ms=24 * HOUR) is lost


def test_an_expired_iterator_is_renewed_after_the_last_record() -> None:
    taken: list[tuple[str, dict[str, Any]]] = []

    class Expiring:
        """A fault: the second call finds its iterator expired."""

        calls = 0

        def iterator(self, stream: str, shard: str, kind: str, **start: Any) -> str:
            taken.append((kind, start))
            return "iterator"

        def records(self, stream: str, iterator: str) -> Answer:
            self.calls += 1
            if self.calls == 2:
                raise IteratorExpiredError
            return Answer(Records(["k"], [b""], [str(self.calls)], [0]), "iterator", 0)

    cursor = Cursor(Expiring(), Options(("s",)), "s", "a", START)  # type: ignore[arg-type]
    found = [sequence for _ in range(3) for sequence in cursor.fetch().records.sequences]
    assert found == ["1", "3"]
    assert taken == [("TRIM_HORIZON", {}), ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": "1"})]


@pytest.mark.parametrize(
    ("first", "inclusive", "found", "lost"),
    [("7", False, ["8"], False), ("7", True, ["7", "8"], False), ("8", False, ["8", "9"], True)],
)
def test_reading_resumes_after_the_record_read_last_and_tells_if_it_is_gone(
    first: str, inclusive: bool, found: list[str], lost: bool
) -> None:
    taken: list[str] = []

    class Kept:
        """A shard that holds two records, from `first` on."""

        def iterator(self, stream: str, shard: str, kind: str, **start: Any) -> str:
            taken.extend([kind, *start.values()])
            return "iterator"

        def records(self, *_: Any) -> Answer:
            return Answer(Records(["k"] * 2, [b""] * 2, [first, str(int(first) + 1)], [0] * 2), "next", 0)

    position = Position(first="5", last="7", count=3)
    cursor = Cursor(Kept(), Options(("s",)), "s", "a", position, inclusive=inclusive)  # type: ignore[arg-type]
    answer = cursor.fetch()
    assert (list(answer.records.sequences), answer.lost) == (found, lost)
    assert taken == ["AT_SEQUENCE_NUMBER", "7"]


def test_an_empty_answer_behind_the_tip_is_not_the_tip() -> None:
    class Behind:
        """A shard with a gap."""

        answers: ClassVar = [Answer(Records([], [], [], []), "next", 5000), Answer(Records([], [], [], []), "next", 0)]

        def iterator(self, *_: Any) -> str:
            return "iterator"

        def records(self, *_: Any) -> Answer:
            return self.answers.pop(0)

    cursor = Cursor(Behind(), Options(("s",)), "s", "a", START)  # type: ignore[arg-type]
    assert [cursor.fetch().tip for _ in range(2)] == [False, True]


def test_an_idle_shard_is_asked_more_seldom_until_a_record_comes() -> None:
    class Idle:
        """A shard that says nothing but once."""

        asked = 0

        def iterator(self, *_: Any) -> str:
            return "iterator"

        def records(self, *_: Any) -> Answer:
            self.asked += 1
            found = [b"x"] * (self.asked == 30)
            return Answer(Records(["k"] * len(found), found, ["5"] * len(found), [0] * len(found)), "next", 0)

    shard = Idle()
    cursor = Cursor(shard, Options(("s",)), "s", "a", START, clock=lambda: 100.0)  # type: ignore[arg-type]
    waits = []
    while shard.asked < 40:
        cursor.fetch()
        waits.append(cursor.wait)
    assert waits == [0.25] * 20 + [1.0] * 9 + [0.25] * 11


@pytest.mark.parametrize("data", [b"", MAGIC, MAGIC + b"x" * 30, b"plain"])
def test_what_is_not_aggregated_is_left_as_it_is(data: bytes) -> None:
    assert take_apart(data, (0, 2**128 - 1)) is None
