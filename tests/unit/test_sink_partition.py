"""The writer of a partition against a store in memory: each offset in exactly one place, whatever fails."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinline.errors import StateError
from pinline.objects import ObjectRange, object_key
from sink.partition import Rules, State
from sink.rotation import Limits, Reason
from sink.store import last_object, probe
from tests.unit.sink_model import ID, TOPIC, MemoryStore, Owner, Rec, World, posts

pytestmark = pytest.mark.unit


def key(offset: int) -> str:
    return object_key(TOPIC, 0, offset)


def test_objects_are_named_by_their_first_offset_and_cover_every_offset_once() -> None:
    world = World(posts(10))
    Owner(world).settle()
    assert sorted(world.store.objects) == [key(0), key(3), key(6), key(9)]
    assert world.store.offsets() == list(range(10))
    assert world.ranges()[-1] == ObjectRange(ID, 9, 9, 1)
    assert world.story.reasons == [Reason.COUNT, Reason.COUNT, Reason.COUNT, Reason.WALL_CLOCK]


def test_markers_behind_the_last_record_are_done_as_soon_as_the_record_is() -> None:
    owner = Owner(World(posts(4)))
    owner.act()
    owner.fetch()
    owner.writer.pass_over(6)
    assert owner.writer.done_offset == 0
    owner.settle()
    assert owner.writer.done_offset == 6
    owner.writer.pass_over(8)
    assert owner.writer.done_offset == 8


def test_a_new_owner_goes_on_after_the_last_object() -> None:
    world = World(posts(7))
    Owner(world).settle()
    world.log = posts(20)
    Owner(world).settle()
    assert world.store.offsets() == list(range(20))


def test_killed_between_put_and_the_next_step_the_next_owner_does_not_write_again() -> None:
    world = World(posts(6))
    first = Owner(world)
    while key(0) not in world.store.objects:
        first.fetch()
        first.end()
        first.begin()
    Owner(world).settle()
    assert world.store.offsets() == list(range(6))


def test_second_owner_of_a_partition_does_not_overwrite_an_object() -> None:
    world = World(posts(12))
    zombie, owner = Owner(world, flush=2), Owner(world, flush=5)
    for one in (zombie, owner):
        one.act()
        one.fetch(12)
    owner.act()
    zombie.settle()
    owner.settle()
    assert world.store.offsets() == list(range(12))
    assert world.ranges()[0].last_offset == 4


def test_a_put_that_times_out_but_succeeded_is_found_and_not_repeated() -> None:
    world = World(posts(9))
    faults = ["after"]
    world.store.fault = lambda call, _key: faults.pop() if call == "PUT" and faults else None
    Owner(world).settle()
    assert world.store.offsets() == list(range(9))
    assert len(world.story.batches) == 3


@pytest.mark.parametrize("call", ["PUT", "HEAD", "LIST"])
def test_a_store_that_is_down_is_tried_again_with_growing_pauses_and_nothing_is_lost(call: str) -> None:
    world = World(posts(12))
    owner = Owner(world)
    if call != "LIST":
        owner.act()
    until = world.now + 30
    world.store.fault = lambda c, _key: "before" if c == call and world.now < until else None
    owner.settle()
    assert world.store.offsets() == list(range(12))
    assert sum(1 for c, _ in world.store.calls if c == call) < 60


def test_after_an_error_the_previous_object_is_looked_at_before_the_next_put() -> None:
    world = World(posts(9))
    faults = ["before"]
    world.store.fault = lambda call, k: faults.pop() if call == "PUT" and k == key(3) and faults else None
    Owner(world).settle()
    calls = world.store.calls
    failed = calls.index(("PUT", key(3)))
    assert calls[failed + 1 : failed + 3] == [("HEAD", key(0)), ("PUT", key(3))]


def test_an_object_of_a_recreated_topic_stops_the_partition_and_is_named_with_both_ids() -> None:
    world = World(posts(6))
    Owner(world).settle()
    before = dict(world.store.objects)
    owner = Owner(world, topic_id="id-2")
    owner.settle()
    assert owner.writer.state is State.STOPPED
    assert all(part in (owner.writer.error or "") for part in (key(3), ID, "id-2", "Choose", "topics.dir"))
    assert world.store.objects == before


def test_a_412_by_an_object_that_is_not_ours_stops_the_partition() -> None:
    world = World(posts(6))
    owner = Owner(world)
    owner.act()
    world.store.objects[key(3)] = (b"", {})
    owner.settle()
    assert owner.writer.state is State.STOPPED
    assert key(3) in (owner.writer.error or "")
    assert "no metadata" in (owner.writer.error or "")


def test_a_revoked_partition_drops_its_buffer_and_does_not_put() -> None:
    world = World(posts(6))
    owner = Owner(world)
    owner.act()
    owner.fetch()
    owner.writer.close()
    owner.settle()
    assert owner.writer.state is State.CLOSED
    assert not world.store.objects


def test_an_emptied_bucket_is_noticed_while_nothing_arrives_and_filled_again() -> None:
    world = World(posts(8))
    owner = Owner(world)
    owner.settle()
    world.store.objects.clear()
    owner.settle()
    assert world.store.offsets() == list(range(8))
    assert len(world.story.relocations) == 1


def test_a_bucket_emptied_between_two_checks_under_load_has_no_gap_afterwards() -> None:
    world = World(posts(40))
    owner = Owner(world, flush=2)
    while len(world.store.objects) < 8:
        owner.fetch()
        owner.act()
    world.store.objects.clear()
    owner.settle()
    assert world.store.offsets() == list(range(40))
    assert Reason.NEXT_OBJECT in world.story.reasons or world.ranges()[0].first_offset == 0


def test_an_owner_killed_just_after_writing_into_an_emptied_bucket_leaves_no_gap() -> None:
    world = World(posts(21))
    first = Owner(world, flush=2)
    while key(8) not in world.store.objects:
        first.fetch()
        first.act()
    for offset in range(0, 8, 2):
        world.store.delete(key(offset))
    Owner(world, flush=3).settle()
    assert world.store.offsets() == list(range(21))


def test_an_owner_killed_in_the_middle_of_a_refill_leaves_no_gap() -> None:
    world = World(posts(41))
    first = Owner(world, flush=2)
    while key(20) not in world.store.objects:
        first.fetch()
        first.act()
    for offset in range(0, 20, 2):
        world.store.delete(key(offset))
    second = Owner(world, flush=3)
    while key(9) not in world.store.objects:
        second.fetch()
        second.act()
    Owner(world, flush=3).settle()
    assert world.store.offsets() == list(range(41))


def test_leading_dead_letters_before_the_first_object_do_not_look_like_a_gap() -> None:
    world = World([Rec(0, b"bad"), Rec(1, None), *posts(8)[2:]])
    Owner(world).settle()
    calls = len(world.letters.offsets)
    Owner(world).settle()
    assert world.store.offsets() == list(range(2, 8))
    assert len(world.letters.offsets) == calls == 1
    assert world.story.nulls == 1


def test_dead_letters_are_acknowledged_before_the_object_that_covers_them() -> None:
    world = World([Rec(0, b"0"), Rec(1, b"bad"), Rec(2, b"2"), Rec(3, b"3"), Rec(4, None)])
    world.letters.down = True
    owner = Owner(world)
    owner.settle()
    assert not world.store.objects
    world.letters.down = False
    owner.settle()
    assert world.letters.offsets == [1]
    assert world.store.offsets() == [0, 2, 3]
    assert owner.writer.done_offset == 5


def test_a_poison_record_alone_goes_out_as_a_dead_letter_without_an_object() -> None:
    world = World([Rec(0, b"bad")])
    owner = Owner(world)
    owner.settle()
    assert world.letters.offsets == [0]
    assert not world.store.objects
    assert owner.writer.done_offset == 1


@pytest.mark.parametrize(
    ("rules", "value", "said"),
    [
        (Rules(Limits(3, 100), tolerate_bad_records=False), b"bad", "errors.tolerance is none"),
        (Rules(Limits(3, 100), fail_on_null=True), None, "behavior.on.null.values is fail"),
    ],
)
def test_what_is_not_tolerated_stops_the_partition_and_is_named(rules: Rules, value: bytes | None, said: str) -> None:
    world = World([*posts(1), Rec(1, value)])
    owner = Owner(world, rules=rules)
    owner.settle()
    assert f"record {TOPIC}-0@1" in (owner.writer.error or "")
    assert said in (owner.writer.error or "")
    assert not world.store.objects


def test_an_object_is_cut_by_bytes_by_record_time_and_when_the_sink_stops() -> None:
    log = [
        Rec(0, b"0"),
        Rec(1, b'"' + b"x" * 100 + b'"'),
        Rec(2, b"2", 1000),
        Rec(3, b"3", 61_000),
        Rec(4, b"4", 61_001),
    ]
    world = World(log)
    owner = Owner(world, rules=Rules(Limits(100, 100, record_time_ms=60_000)))
    for _ in range(10):
        owner.fetch()
        owner.act()
    owner.writer.shut_down()
    owner.act()
    assert world.story.reasons == [Reason.BYTES, Reason.RECORD_TIME, Reason.SHUTDOWN]
    assert [r.first_offset for r in world.ranges()] == [0, 2, 3]
    assert owner.writer.idle


def test_gzip_changes_the_suffix_and_the_body_only() -> None:
    world = World(posts(3))
    Owner(world, rules=Rules(Limits(3, 100), compress=True)).settle()
    assert gzip.decompress(world.store.objects[key(0) + ".gz"][0]) == b"0\n1\n2\n"


def test_a_partition_that_waits_for_its_store_takes_no_more_than_two_objects_and_a_fetch() -> None:
    world = World(posts(1000))
    owner = Owner(world, flush=10)
    owner.act()
    world.store.fault = lambda call, _key: "before"
    for _ in range(50):
        owner.fetch(15)
        owner.act()
    assert not owner.writer.wants_records
    assert owner.position <= 10 + 10 + 15


def test_flush_size_one_needs_one_call_an_object() -> None:
    world = World(posts(100))
    owner = Owner(world, flush=1)
    while owner.writer.done_offset != 100:
        owner.fetch(100)
        owner.act()
    assert len(world.store.calls) == 100 + 1


def test_a_store_without_conditional_put_is_refused() -> None:
    store = MemoryStore()
    probe(store)
    store.conditional = False
    with pytest.raises(StateError, match="conditional"):
        probe(store)
    assert not store.objects


@given(st.lists(st.integers(0, 9_999_999), unique=True, max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_last_object_is_found_however_many_there_are(offsets: list[int]) -> None:
    store = MemoryStore()
    for offset in offsets:
        store.objects[key(offset)] = (b"", ObjectRange(ID, offset, offset, 1).to_metadata())
    found = last_object(store, "topics", TOPIC, 0)
    assert (found and found.key) == (key(max(offsets)) if offsets else None)
    assert len(store.calls) < 50


VALUES = st.sampled_from(["line", "line", "line", "null", "bad"])
STEPS = st.tuples(
    st.integers(0, 1), st.sampled_from(["fetch", "begin", "end", "late", "timeout", "fail", "kill", "wait"])
)


@given(st.lists(VALUES, min_size=1, max_size=40), st.lists(STEPS, max_size=150), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=1000, deadline=None)
def test_two_owners_in_any_order_write_every_offset_exactly_once(
    kinds: list[str], steps: list[tuple[int, str]], flush_a: int, flush_b: int
) -> None:
    values = {"line": lambda n: str(n).encode(), "null": lambda n: None, "bad": lambda n: b"bad"}
    world = World([Rec(n, values[kind](n)) for n, kind in enumerate(kinds)])
    flush = (flush_a, flush_b)
    owners = [Owner(world, flush=flush_a), Owner(world, flush=flush_b)]
    faults: list[str] = []
    world.store.fault = lambda call, _key: faults.pop() if faults else None
    for who, step in steps:
        owner = owners[who]
        match step:
            case "fetch":
                owner.fetch()
            case "begin":
                owner.begin()
            case "end":
                owner.end()
            case "timeout":
                faults[:] = ["after"]
            case "fail":
                faults[:] = ["before"]
            case "kill":
                owner.writer.close()
                owners[who] = Owner(world, flush=flush[who])
            case "wait" | "late":
                world.now += 6 if step == "late" else 0.2
    faults.clear()
    for owner in owners:
        owner.end()
        owner.settle()
    assert world.store.offsets() == [n for n, kind in enumerate(kinds) if kind == "line"]
    assert set(world.letters.offsets) == {n for n, kind in enumerate(kinds) if kind == "bad"}
    covered = [n for r in world.ranges() for n in range(r.first_offset, r.last_offset + 1)]
    assert len(covered) == len(set(covered))


@given(st.integers(1, 5), st.lists(st.integers(0, 60), max_size=3), st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_a_bucket_emptied_at_any_moment_is_filled_again_without_gap_or_overlap(
    flush: int, moments: list[int], bad: int
) -> None:
    world = World([Rec(n, b"bad" if n == bad else str(n).encode()) for n in range(30)])
    owner = Owner(world, flush=flush)
    for turn in range(80):
        owner.fetch(4)
        owner.act()
        world.now += 0.3
        if turn in moments:
            world.store.objects.clear()
    owner.settle()
    assert world.store.offsets() == [n for n in range(30) if n != bad]
