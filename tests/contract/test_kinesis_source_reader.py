"""What the reader of `pyspark_kinesis` makes of a Kinesis: where it begins, resharding, limits, what is gone."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxBytes, ReadMaxRows

from pyspark_kinesis.aggregated import MAGIC
from pyspark_kinesis.errors import (
    AccessError,
    AggregationError,
    DataLossError,
    KinesisSourceError,
    OffsetError,
    StreamNotFoundError,
    StreamRecreatedError,
)
from pyspark_kinesis.options import InitialPosition, Options
from pyspark_kinesis.spool import INLINE_BYTES
from tests.fixtures.backends import wait_until
from tests.fixtures.http import HTTP
from tests.fixtures.kinesis import Kinesis, StartKinesis, client, unique_stream, wait_active, wait_gone
from tests.fixtures.kinesis_consumer import Consumer, source_options

pytestmark = pytest.mark.contract
FIRST = "shardId-000000000000"


@contextmanager
def consuming(options: Options) -> Iterator[Consumer]:
    """A consumer that is stopped at the end."""
    consumer = Consumer(options)
    try:
        yield consumer
    finally:
        consumer.reader.stop()


def put(cloud: Any, stream: str, *datas: bytes, key: str = "k", **more: Any) -> None:
    """Put records one after the other."""
    for data in datas:
        cloud.put_record(StreamName=stream, Data=data, PartitionKey=key, **more)


def split(cloud: Any, stream: str, shard: str, at: int) -> None:
    """Split a shard."""
    cloud.split_shard(StreamName=stream, ShardToSplit=shard, NewStartingHashKey=str(at))
    wait_active(cloud, stream)


def past(seconds: float) -> None:
    """Return when the clock shows another time: arrivals are in milliseconds, creations of streams in seconds."""
    begun = time.time()
    wait_until(lambda: time.time() > begun + seconds, seconds + 5, "the clock goes on")


def test_latest_begins_where_the_query_does(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"before")
    with consuming(source_options(kinesis.url, stream, initial=InitialPosition("latest"))) as consumer:
        consumer.begin()
        put(cloud, stream, b"after")
        assert [row["data"] for row in consumer.read(1)] == [b"after"]


def test_latest_of_an_idle_shard_stays_where_it_was_over_a_restart(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    busy, idle = unique_stream(1, cloud), unique_stream(1, cloud)
    put(cloud, idle, b"before")
    past(0.005)
    with consuming(source_options(kinesis.url, busy, idle, initial=InitialPosition("latest"))) as consumer:
        consumer.begin()
        put(cloud, busy, b"1")
        consumer.read(1)
        consumer.restart()
        put(cloud, idle, b"while it was down")
        consumer.restart()
        assert [row["data"] for row in consumer.read(2)] == [b"1", b"while it was down"]


def test_a_time_begins_with_what_arrived_since(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"before")
    past(0.005)
    at = InitialPosition("timestamp", time.time_ns() // 1_000_000)
    put(cloud, stream, b"after")
    with consuming(source_options(kinesis.url, stream, initial=at)) as consumer:
        assert [row["data"] for row in consumer.read(1)] == [b"after"]


def test_a_stream_that_joins_a_query_begins_at_the_initial_position(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    old, new = unique_stream(1, cloud), unique_stream(1, cloud)
    put(cloud, old, b"1")
    put(cloud, new, b"2")
    with consuming(source_options(kinesis.url, old)) as consumer:
        consumer.read(1)
        consumer.options = source_options(kinesis.url, old, new)
        consumer.restart()
        assert [row["stream"] for row in consumer.read(2)] == [old, new]


def test_a_stream_that_leaves_a_query_is_an_error_unless_loss_is_allowed(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    one, two = unique_stream(1, cloud), unique_stream(1, cloud)
    put(cloud, one, b"1")
    put(cloud, two, b"2")
    with consuming(source_options(kinesis.url, one, two)) as consumer:
        consumer.read(2)
        consumer.options = source_options(kinesis.url, one)
        consumer.restart()
        with pytest.raises(OffsetError, match=f"also read {two}"):
            consumer.step()
        consumer.options = source_options(kinesis.url, one, fail_on_data_loss=False)
        consumer.restart()
        put(cloud, one, b"3")
        consumer.read(3)
        assert two not in (consumer.checkpoint or "")


def test_children_come_after_their_parent_over_generations(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    with consuming(source_options(kinesis.url, stream)) as consumer:
        consumer.begin()
        put(cloud, stream, b"0")
        split(cloud, stream, FIRST, 2**127)
        put(cloud, stream, b"1", ExplicitHashKey="0")
        split(cloud, stream, "shardId-000000000001", 2**126)
        put(cloud, stream, b"2", ExplicitHashKey="0")
        cloud.merge_shards(
            StreamName=stream, ShardToMerge="shardId-000000000003", AdjacentShardToMerge="shardId-000000000004"
        )
        wait_active(cloud, stream)
        put(cloud, stream, b"3", ExplicitHashKey="0")
        assert [row["data"] for row in consumer.read(4)] == [b"0", b"1", b"2", b"3"]
        assert [len({row["shardId"] for row in batch}) for batch in consumer.batches] == [1, 1, 1, 1]
        assert set(consumer.shards) == {"shardId-000000000002", "shardId-000000000005"}


def test_a_merged_shard_waits_for_both_parents(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(2, cloud)
    put(cloud, stream, b"left", ExplicitHashKey="0")
    put(cloud, stream, *[b"right"] * 50, ExplicitHashKey=str(2**127))
    cloud.merge_shards(StreamName=stream, ShardToMerge=FIRST, AdjacentShardToMerge="shardId-000000000001")
    wait_active(cloud, stream)
    put(cloud, stream, b"child")
    # a record a call: shards take turns, so a child that didn't wait would come between
    with consuming(source_options(kinesis.url, stream, records_per_fetch=1)) as consumer:
        rows = consumer.read(52, ReadMaxRows(10))
        assert rows[-1]["data"] == b"child"
        assert set(consumer.shards) == {"shardId-000000000002"}


def test_a_finished_shard_is_not_read_again(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"parent")
    split(cloud, stream, FIRST, 2**127)
    with consuming(source_options(kinesis.url, stream)) as consumer:
        consumer.read(1)
        consumer.restart()
        assert consumer.available_now() == 0
        put(cloud, stream, b"child")
        consumer.read(2)
        consumer.restart()
        assert consumer.available_now() == 0


def test_a_batch_keeps_to_its_limit(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(2, cloud)
    records = [{"Data": b"x" * 1000, "PartitionKey": str(number)} for number in range(300)]
    cloud.put_records(StreamName=stream, Records=records)
    with consuming(source_options(kinesis.url, stream)) as consumer:
        consumer.available_now(ReadMaxRows(70))
        assert [len(batch) for batch in consumer.batches] == [70, 70, 70, 70, 20]
    with consuming(source_options(kinesis.url, stream)) as consumer:
        consumer.available_now(ReadMaxBytes(50_000))
        assert len(consumer.rows) == 300
        assert max(sum(len(row["data"]) for row in batch) for batch in consumer.batches) <= 50_000
    with consuming(source_options(kinesis.url, stream, buffer_bytes=1000)) as consumer:
        consumer.step(ReadAllAvailable())
        assert len(consumer.rows) == 300


def test_what_is_read_ahead_is_bounded(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, *[b"x" * 100_000] * 30)
    options = source_options(kinesis.url, stream, buffer_bytes=500_000, records_per_fetch=1)
    with consuming(options) as consumer:
        consumer.read(30)
        assert max(sum(len(row["data"]) for row in batch) for batch in consumer.batches) <= 600_000


def test_a_large_batch_travels_in_a_file_and_comes_from_kinesis_without_it(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, *[bytes([number]) * (INLINE_BYTES // 2) for number in range(4)])
    with consuming(source_options(kinesis.url, stream)) as consumer:
        while len(consumer.rows) < 4:
            consumer.step(crash=True)
        assert [row["data"][0] for row in consumer.rows] == [0, 1, 2, 3]


def test_a_batch_that_is_read_again_ends_where_it_did_though_more_is_there(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"1", b"2", b"3")
    with consuming(source_options(kinesis.url, stream)) as consumer:
        for _ in range(3):
            wait_until(lambda: consumer.step(ReadMaxRows(1), crash=True) > 0, 20, "the next batch is there")
        assert [[row["data"] for row in batch] for batch in consumer.batches] == [[b"1"], [b"2"], [b"3"]]


def test_a_record_of_one_mebibyte_is_read(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    data = bytes(1024 * 1024 - 1)
    put(cloud, stream, data)
    with consuming(source_options(kinesis.url, stream)) as consumer:
        assert consumer.read(1)[0]["data"] == data


def aggregated(*records: tuple[str, bytes]) -> bytes:
    """Return what the Kinesis Producer Library makes of a few short records."""
    message = b"".join(b"\x0a" + bytes([len(key)]) + key.encode() for key, _ in records)
    for number, (_, data) in enumerate(records):
        record = b"\x08" + bytes([number]) + b"\x1a" + bytes([len(data)]) + data
        message += b"\x1a" + bytes([len(record)]) + record
    return MAGIC + message + hashlib.md5(message).digest()


def test_aggregated_records_are_taken_apart(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"plain", aggregated(("a", b"1"), ("b", b"2"), ("c", b"3")), b"last")
    with consuming(source_options(kinesis.url, stream)) as consumer:
        while len(consumer.rows) < 5:
            consumer.step(ReadMaxRows(1), crash=True)
        found = [(row["partitionKey"], row["data"]) for row in consumer.rows]
        assert found == [("k", b"plain"), ("a", b"1"), ("b", b"2"), ("c", b"3"), ("k", b"last")]
        assert [len(batch) for batch in consumer.batches] == [1, 3, 1]


def test_of_an_aggregated_record_only_what_belongs_to_its_shard_is_read(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(2, cloud)
    keys = [f"key-{number}" for number in range(8)]
    lower = [key for key in keys if hashlib.md5(key.encode()).digest()[0] < 128]
    put(cloud, stream, aggregated(*((key, b"x") for key in keys)), ExplicitHashKey="0")
    with consuming(source_options(kinesis.url, stream)) as consumer:
        assert [row["partitionKey"] for row in consumer.read(len(lower))] == lower
        assert 0 < len(lower) < len(keys)


def test_a_damaged_aggregated_record_stops_the_query(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, MAGIC + b"\x1a\x7f" + hashlib.md5(b"\x1a\x7f").digest())
    with consuming(source_options(kinesis.url, stream)) as consumer, pytest.raises(AggregationError, match="damaged"):
        consumer.read(1)


def test_an_unknown_stream_is_named(kinesis: Kinesis) -> None:
    with (
        consuming(source_options(kinesis.url, "no-such")) as consumer,
        pytest.raises(StreamNotFoundError, match="cannot read the stream no-such"),
    ):
        consumer.step()


def test_a_stream_that_is_deleted_stops_the_query(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"1")
    with consuming(source_options(kinesis.url, stream)) as consumer:
        consumer.read(1)
        cloud.delete_stream(StreamName=stream)
        with pytest.raises(StreamNotFoundError, match=stream):
            consumer.read(2)


@pytest.mark.parametrize("running", [True, False])
def test_a_stream_that_is_made_again_stops_the_query(kinesis: Kinesis, running: bool) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"1")
    with consuming(source_options(kinesis.url, stream, shard_interval=0.05)) as consumer:
        consumer.read(1)
        if not running:
            consumer.reader.stop()
        past(1)
        cloud.delete_stream(StreamName=stream)
        wait_gone(cloud, stream)
        unique_stream(1, cloud, name=stream)
        put(cloud, stream, b"2")
        if not running:
            consumer.restart()
        with pytest.raises(StreamRecreatedError if not running else KinesisSourceError, match=stream):
            consumer.read(2)


def trim(kinesis: Kinesis, stream: str) -> None:
    """Remove all records, as if they had expired."""
    admin = KafkaAdminClient(bootstrap_servers=kinesis.kafka)
    try:
        admin.delete_records({TopicPartition(f"kinesis.{stream}", 0): -1})
    finally:
        admin.close()


def test_trimmed_records_stop_the_query_or_are_logged(kinesis: Kinesis, caplog: pytest.LogCaptureFixture) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"1")
    with consuming(source_options(kinesis.url, stream)) as consumer:
        consumer.read(1)
        last = consumer.shards[FIRST].last
        consumer.reader.stop()
        put(cloud, stream, b"2")
        trim(kinesis, stream)
        put(cloud, stream, b"3")
        consumer.restart()
        with pytest.raises(DataLossError, match=f"{FIRST} of the stream {stream} after {last}"):
            consumer.read(2)
        consumer.options = source_options(kinesis.url, stream, fail_on_data_loss=False)
        consumer.restart()
        assert [row["data"] for row in consumer.read(2)] == [b"1", b"3"]
        assert "data loss" in caplog.text


def test_a_batch_that_was_trimmed_is_not_read_in_part(kinesis: Kinesis) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    put(cloud, stream, b"1", b"2")
    with consuming(source_options(kinesis.url, stream)) as consumer:
        consumer.begin()
        start = consumer.reader.initialOffset()
        while (end := consumer.reader.latestOffset(start, ReadMaxRows(10))) == start:
            pass
        consumer.restart()
        trim(kinesis, stream)
        put(cloud, stream, b"3")
        partitions = consumer.reader.partitions(start, end)
        with pytest.raises(DataLossError, match="2 are gone"):
            list(consumer.reader.read(partitions[0]))


def test_refused_credentials_stop_the_query(kafka_broker: str, start_kinesis: StartKinesis) -> None:
    with start_kinesis(kafka_broker, "--no-limits", "--access-keys", "known:secret") as service:
        options = source_options(service.url, "any", access_key="known", secret_key="wrong")
        with consuming(options) as consumer, pytest.raises(AccessError, match="refuses to describe the stream"):
            consumer.step()


def test_a_shard_is_asked_no_more_than_five_times_a_second(kafka_broker: str, start_kinesis: StartKinesis) -> None:
    with start_kinesis(kafka_broker) as service:
        cloud = service.client()
        stream = unique_stream(1, cloud)
        put(cloud, stream, *[b"x" * 50_000] * 20)
        period = Options(("any",)).fetch_period
        options = source_options(service.url, stream, fetch_period=period, records_per_fetch=2)
        with consuming(options) as consumer:
            consumer.read(20)
            consumer.available_now()
        assert throttled(service) == 0


def test_two_readers_of_a_shard_throttle_each_other_and_read_all(
    kafka_broker: str, start_kinesis: StartKinesis
) -> None:
    with start_kinesis(kafka_broker) as service:
        cloud = client(service.url)
        stream = unique_stream(1, cloud)
        put(cloud, stream, *[b"x"] * 40)
        options = source_options(service.url, stream, fetch_period=0.1, records_per_fetch=2)
        with consuming(options) as one, consuming(options) as two:
            while len(one.rows) < 40 or len(two.rows) < 40:
                one.step()
                two.step()
        assert throttled(service) > 0
        assert len(one.rows) == len(two.rows) == 40


def throttled(service: Kinesis) -> float:
    """Return how many reads the service has turned away."""
    lines = HTTP.get(f"{service.url}/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if "throttled" in line and 'read"' in line)
