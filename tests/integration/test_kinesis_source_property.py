"""In any order of puts, splits, merges, restarts, crashes and AvailableNow runs: each record once, a key in order.

A world mostly waits (for a shard to close, for the tip), so an example is several of them side by side.
"""

import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql.streaming.datasource import ReadMaxBytes, ReadMaxRows

from tests.fixtures.kinesis import Kinesis, client, unique_stream, wait_active
from tests.fixtures.kinesis_consumer import Consumer, source_options

pytestmark = pytest.mark.integration

SIDE_BY_SIDE = 8
SETTINGS = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
LIMIT = st.one_of(st.none(), st.builds(ReadMaxRows, st.integers(1, 30)), st.builds(ReadMaxBytes, st.integers(1, 2000)))
READS = (
    st.tuples(st.just("step"), LIMIT),
    st.tuples(st.just("crash"), LIMIT),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("available_now"), LIMIT),
)
PUT = st.tuples(st.just("put"), st.integers(1, 60))
RESHARDS = (
    st.tuples(st.just("split"), st.integers(0, 2**32)),
    st.tuples(st.just("merge"), st.integers(0, 2**32)),
    st.tuples(st.just("count"), st.integers(1, 4)),
)


class Story(NamedTuple):
    """What happens in a world: so many shards at first, the seed of its keys, and what is done one after the other."""

    shards: int
    seed: int
    actions: list[tuple[str, Any]]


def stories(action: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[list[Story]]:
    """Stories to be run side by side."""
    story = st.builds(
        Story, st.integers(1, 3), st.integers(0, 2**32), st.lists(action, min_size=most // 2, max_size=most)
    )
    return st.lists(story, min_size=SIDE_BY_SIDE, max_size=SIDE_BY_SIDE)


class World:
    """A stream, what was put into it, and a query that reads it."""

    def __init__(self, client: Any, url: str, story: Story) -> None:
        self.client = client
        self.stream = unique_stream(story.shards, client)
        self.keys = random.Random(story.seed)
        self.put_by_key: dict[str, list[str]] = defaultdict(list)
        self.consumer = Consumer(source_options(url, self.stream))

    def put(self, count: int) -> None:
        entries = [{"Data": b"d", "PartitionKey": f"key-{self.keys.randrange(20)}"} for _ in range(count)]
        answer = self.client.put_records(StreamName=self.stream, Records=entries)
        assert answer["FailedRecordCount"] == 0, answer
        for entry, result in zip(entries, answer["Records"], strict=True):
            self.put_by_key[entry["PartitionKey"]].append(result["SequenceNumber"])

    def open_shards(self) -> list[dict[str, Any]]:
        wait_active(self.client, self.stream)
        shards = self.client.list_shards(StreamName=self.stream, ShardFilter={"Type": "AT_LATEST"})["Shards"]
        return sorted(shards, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))

    def split(self, chance: int) -> None:
        shards = self.open_shards()
        if len(shards) < 5:
            shard = shards[chance % len(shards)]
            keys = shard["HashKeyRange"]
            middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
            self.client.split_shard(
                StreamName=self.stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle)
            )

    def merge(self, chance: int) -> None:
        shards = self.open_shards()
        if len(shards) > 1:
            at = chance % (len(shards) - 1)
            self.client.merge_shards(
                StreamName=self.stream,
                ShardToMerge=shards[at]["ShardId"],
                AdjacentShardToMerge=shards[at + 1]["ShardId"],
            )

    def count(self, wanted: int) -> None:
        now = len(self.open_shards())
        wanted = min(max(wanted, (now + 1) // 2), now * 2)
        if wanted != now:
            self.client.update_shard_count(
                StreamName=self.stream, TargetShardCount=wanted, ScalingType="UNIFORM_SCALING"
            )

    def step(self, limit: Any) -> None:
        self.consumer.step(limit)

    def crash(self, limit: Any) -> None:
        self.consumer.step(limit, crash=True)

    def restart(self, _: None) -> None:
        self.consumer.restart()

    def available_now(self, limit: Any) -> None:
        self.consumer.available_now(limit)

    def check(self) -> None:
        """Read to the end; nothing is missing, doubled or out of order."""
        total = sum(map(len, self.put_by_key.values()))
        self.consumer.available_now()
        read_by_key = defaultdict(list)
        for batch in self.consumer.batches:
            for row in batch:
                read_by_key[row["partitionKey"]].append(row["sequenceNumber"])
        assert len(self.consumer.rows) == total
        assert read_by_key == {key: sorted(found, key=int) for key, found in self.put_by_key.items()}


def run(cloud: Any, url: str, story: Story) -> None:
    """Do what the story says, then check."""
    world = World(cloud, url, story)
    try:
        for name, argument in story.actions:
            getattr(world, name)(argument)
        world.check()
    finally:
        world.consumer.reader.stop()
        wait_active(cloud, world.stream)
        cloud.delete_stream(StreamName=world.stream)


def run_side_by_side(cloud: Any, url: str, worlds: list[Story]) -> None:
    """Run all of them. Raises what the first that failed did."""
    with ThreadPoolExecutor(len(worlds)) as pool:
        list(pool.map(lambda story: run(cloud, url, story), worlds))


@SETTINGS
@given(stories(st.one_of(PUT, PUT, *READS, *RESHARDS), 14))
def test_each_record_is_read_once_and_a_key_in_order(kinesis: Kinesis, worlds: list[Story]) -> None:
    run_side_by_side(kinesis.client(), kinesis.url, worlds)


@SETTINGS
@given(stories(st.one_of(PUT, PUT, *READS), 10))
def test_so_it_is_on_another_kinesis(ministack_kinesis: str, worlds: list[Story]) -> None:
    run_side_by_side(client(ministack_kinesis), ministack_kinesis, worlds)
