"""In any order of puts, splits, merges, restarts: the key space is covered, a lineage reader reads all once."""

import random
import signal
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinesis.sequence import HASH_KEYS
from tests.fixtures.backends import free_port
from tests.fixtures.kinesis import StartKinesis, read_lineage, unique_stream, wait_active

pytestmark = pytest.mark.integration

ARGUMENTS = ("--no-limits", "--state-delay", "0", "--close-grace", "0.1")

ACTION = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 40)),
    st.tuples(st.just("put"), st.integers(1, 40)),
    st.tuples(st.just("split"), st.integers(0, 2**32)),
    st.tuples(st.just("merge"), st.integers(0, 2**32)),
    st.tuples(st.just("count"), st.integers(1, 4)),
    st.tuples(st.just("restart"), st.booleans()),
)


class World:
    """One service, restarted at will, and one stream of it."""

    def __init__(self, kafka: str, start: StartKinesis) -> None:
        self._kafka = kafka
        self._start = start
        self._port = free_port()
        self._stack = ExitStack()
        self._serve()
        self.acknowledged: dict[str, tuple[str, bytes]] = {}
        self.stream = unique_stream(1, self.client)

    def _serve(self) -> None:
        self._service = self._stack.enter_context(self._start(self._kafka, *ARGUMENTS, port=self._port))
        self.client: Any = self._service.client()

    def close(self) -> None:
        self._stack.close()

    def new_stream(self) -> None:
        """Begin anew with a stream of one shard."""
        wait_active(self.client, self.stream)
        self.acknowledged = {}
        self.stream = unique_stream(1, self.client)

    def open_shards(self) -> list[dict[str, Any]]:
        """Return the open shards by hash key; they cover the key space."""
        shards = self.client.list_shards(StreamName=self.stream, ShardFilter={"Type": "AT_LATEST"})["Shards"]
        ordered = sorted(shards, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        expected = 0
        for shard in ordered:
            assert int(shard["HashKeyRange"]["StartingHashKey"]) == expected
            expected = int(shard["HashKeyRange"]["EndingHashKey"]) + 1
        assert expected == HASH_KEYS
        return ordered

    def put(self, count: int) -> None:
        """Put records of random hash keys."""
        entries = [
            {"Data": str(number).encode(), "PartitionKey": "k", "ExplicitHashKey": str(random.randrange(HASH_KEYS))}
            for number in range(count)
        ]
        answer = self.client.put_records(StreamName=self.stream, Records=entries)
        assert answer["FailedRecordCount"] == 0, answer
        for entry, result in zip(entries, answer["Records"], strict=True):
            assert result["SequenceNumber"] not in self.acknowledged
            self.acknowledged[result["SequenceNumber"]] = result["ShardId"], entry["Data"]

    def split(self, chance: int) -> None:
        """Split a shard; puts may come before it is done."""
        shards = self.open_shards()
        shard = shards[chance % len(shards)]
        low, high = (int(shard["HashKeyRange"][key]) for key in ("StartingHashKey", "EndingHashKey"))
        if len(shards) < 6:
            self._change("split_shard", ShardToSplit=shard["ShardId"], NewStartingHashKey=str((low + high) // 2))

    def merge(self, chance: int) -> None:
        """Merge two neighbours."""
        shards = self.open_shards()
        if len(shards) > 1:
            at = chance % (len(shards) - 1)
            pair = shards[at]["ShardId"], shards[at + 1]["ShardId"]
            self._change("merge_shards", ShardToMerge=pair[0], AdjacentShardToMerge=pair[1])

    def count(self, target: int) -> None:
        """Bring the stream to a number of shards."""
        self._change("update_shard_count", TargetShardCount=target, ScalingType="UNIFORM_SCALING")

    def restart(self, killed: bool) -> None:
        """End the service, by force or not, and start it again on the same port."""
        self._service.process.send_signal(signal.SIGKILL if killed else signal.SIGTERM)
        self._service.process.wait(40)
        self._serve()

    def _change(self, name: str, **values: Any) -> None:
        try:
            getattr(self.client, name)(StreamName=self.stream, **values)
        except self.client.exceptions.ResourceInUseException:
            return  # the change before is under way


@pytest.fixture
def world(kafka_broker: str, start_kinesis: StartKinesis) -> Any:
    found = World(kafka_broker, start_kinesis)
    yield found
    found.close()


def test_a_lineage_reader_reads_everything_once(world: World) -> None:
    @settings(
        max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(st.lists(ACTION, min_size=4, max_size=10))
    def check(actions: list[tuple[str, Any]]) -> None:
        world.new_stream()
        for name, value in actions:
            getattr(world, name)(value)
        wait_active(world.client, world.stream)
        world.put(5)
        world.open_shards()
        found = read_lineage(world.client, world.stream)
        read = Counter(
            (record["SequenceNumber"], shard, record["Data"]) for shard, records in found.items() for record in records
        )
        expected = Counter((number, shard, data) for number, (shard, data) in world.acknowledged.items())
        assert read == expected
        listed = world.client.list_shards(StreamName=world.stream)["Shards"]
        assert {shard["ShardId"] for shard in listed} == set(found)
        for records in found.values():
            numbers = [int(record["SequenceNumber"]) for record in records]
            assert numbers == sorted(numbers)

    check()
