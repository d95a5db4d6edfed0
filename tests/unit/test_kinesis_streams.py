"""Shards, hash keys and sequence numbers as pure values: whatever is split and merged, nothing falls between shards."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinesis.errors import KinesisError
from kinesis.sequence import HASH_KEYS, Sequence, decode, encode, hash_key, shard_id, shard_index, uniform_ranges
from kinesis.streams import (
    Stream,
    begin_merge,
    begin_split,
    begin_update_count,
    covers_key_space,
    create,
    finish_step,
    from_json,
    to_json,
)

pytestmark = pytest.mark.unit

NOW = 1_800_000_000
ACCOUNT = "000000000000"


def active(shards: int) -> Stream:
    return replace(create("s", shards, now_s=NOW, before=None, topic="kinesis.s"), status="ACTIVE")


def finished(stream: Stream) -> Stream:
    """Take all steps of a resharding, each a second later."""
    second = 1
    while stream.status == "UPDATING":
        stream = finish_step(stream, dict.fromkeys(stream.closing, 7), (NOW + second) * 1000)
        second += 1
    return stream


def lineage(stream: Stream) -> set[int]:
    """Return the shards that are reached from those without a parent by going to children."""
    reached = {shard.index for shard in stream.shards if not shard.parents}
    while True:
        more = {shard.index for shard in stream.shards if reached & set(shard.parents)} - reached
        if not more:
            return reached
        reached |= more


def test_sequence_numbers_have_56_digits_and_come_back_as_they_were() -> None:
    for fields in (
        Sequence(NOW, 0, NOW, 0),
        Sequence(2**36 - 1, 2**64 - 1, 2**36 - 1, 2**32 - 1),
        Sequence(1, 1, 1, 1),
    ):
        text = str(encode(fields))
        assert len(text) == 56
        assert decode(text) == fields


@pytest.mark.parametrize("text", ["0", "1" * 56, "9" * 56, "4" * 55, "5" * 129])
def test_a_number_that_is_none_of_ours_is_refused(text: str) -> None:
    assert decode(text) is None


def test_sequence_numbers_grow_with_the_offset_and_from_parent_to_child() -> None:
    stream = finished(begin_split(active(1), "shardId-000000000000", 2**127, ACCOUNT))
    parent, left, right = stream.shards
    last_of_parent = stream.sequence(parent, 2**63)
    assert stream.sequence(parent, 1) < stream.sequence(parent, 2) < last_of_parent
    assert last_of_parent < stream.sequence(left, 0) < stream.sequence(right, 0)


def test_a_clock_that_goes_back_does_not_bring_children_below_their_parents() -> None:
    stream = begin_split(active(1), "shardId-000000000000", 2**127, ACCOUNT)
    stream = finish_step(stream, {0: 7}, (NOW - 500) * 1000)
    assert stream.shards[1].created > stream.shards[0].created


def test_a_recreated_stream_has_a_later_epoch_even_within_the_same_second() -> None:
    gone = replace(active(1), status="DELETED", version=9)
    again = create("s", 1, now_s=NOW, before=gone, topic="kinesis.s")
    assert again.epoch > gone.epoch
    assert (again.version, again.generation) == (9, 2)


def test_hash_keys_are_md5_as_in_the_cloud() -> None:
    assert hash_key("a") == 0x0CC175B9C0F1B6A831C399E269772661


@pytest.mark.parametrize("count", [1, 2, 3, 7, 500])
def test_uniform_ranges_cover_the_key_space(count: int) -> None:
    ranges = uniform_ranges(count)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == HASH_KEYS - 1
    assert all(left[1] + 1 == right[0] for left, right in pairwise(ranges))


def test_shard_ids_are_read_in_the_forms_that_aws_takes() -> None:
    assert shard_id(3) == "shardId-000000000003"
    assert [shard_index(text) for text in ("shardId-000000000003", "shardId-3", "3")] == [3, 3, 3]
    assert [shard_index(text) for text in ("shardId-", "", "x-٣", "shardId-9999999999999")] == [None] * 4


def test_a_closed_shard_cannot_be_split_again() -> None:
    stream = finished(begin_split(active(1), "shardId-000000000000", 2**127, ACCOUNT))
    with pytest.raises(KinesisError, match="already been merged or split"):
        begin_split(stream, "shardId-000000000000", 2**126, ACCOUNT)


def test_shards_that_are_no_neighbours_cannot_be_merged() -> None:
    with pytest.raises(KinesisError, match="not an adjacent pair"):
        begin_merge(active(3), "shardId-000000000000", "shardId-000000000002", ACCOUNT)


def test_a_shard_cannot_be_split_at_its_edges() -> None:
    for edge in (0, 1, HASH_KEYS - 1):
        with pytest.raises(KinesisError, match="not both greater than one plus"):
            begin_split(active(1), "shardId-000000000000", edge, ACCOUNT)


@pytest.mark.parametrize(("count", "target"), [(1, 2), (2, 3), (3, 2), (5, 3), (4, 7), (7, 4), (6, 6)])
def test_update_shard_count_ends_at_equal_shards_by_splits_in_two_and_merges_of_two(count: int, target: int) -> None:
    stream = finished(begin_update_count(active(count), target, ACCOUNT, limits=True))
    assert [(shard.start, shard.end) for shard in stream.open_shards] == uniform_ranges(target)
    assert all(len(shard.parents) <= 2 for shard in stream.shards)
    assert all(len(stream.children_of(shard)) in (0, 1, 2) for shard in stream.shards)
    assert lineage(stream) == set(range(stream.next_index))


def test_update_shard_count_refuses_more_than_double_and_less_than_half() -> None:
    for target in (9, 1):
        with pytest.raises(KinesisError) as error:
            begin_update_count(active(4), target, ACCOUNT, limits=True)
        assert error.value.name == "LimitExceededException"


def test_on_demand_streams_cannot_be_split() -> None:
    with pytest.raises(KinesisError) as error:
        begin_split(replace(active(1), mode="ON_DEMAND"), "shardId-000000000000", 2**127, ACCOUNT)
    assert error.value.name == "ValidationException"


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_whatever_is_split_and_merged_the_key_space_is_covered_and_children_are_reachable(data: st.DataObject) -> None:
    stream = active(data.draw(st.integers(1, 6)))
    for _ in range(data.draw(st.integers(1, 12))):
        shards = stream.open_shards
        action = data.draw(st.sampled_from(["split", "merge", "count"]))
        if action == "split":
            shard = data.draw(st.sampled_from(shards))
            if shard.end - shard.start < 4:
                continue
            where = data.draw(st.integers(shard.start + 2, shard.end - 1))
            changed = begin_split(stream, shard.id, where, ACCOUNT)
        elif action == "merge" and len(shards) > 1:
            at = data.draw(st.integers(0, len(shards) - 2))
            pair = data.draw(st.permutations(shards[at : at + 2]))
            changed = begin_merge(stream, pair[0].id, pair[1].id, ACCOUNT)
        else:
            changed = begin_update_count(stream, data.draw(st.integers(1, 9)), ACCOUNT, limits=False)
        assert covers_key_space(changed)
        stream = finished(from_json(to_json(changed), changed.version))
        assert covers_key_space(stream)
        assert lineage(stream) == {shard.index for shard in stream.shards} == set(range(stream.next_index))
        key = data.draw(st.integers(0, HASH_KEYS - 1))
        owner = stream.shard_for(key)
        assert owner.start <= key <= owner.end
