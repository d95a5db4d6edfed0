"""The source `kinesis` of Spark beside a bare boto3 loop that drains the same shards, and what it costs while idle."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Goal, Row, Size
from bench.processes import cpu_seconds
from pinline.settings import Settings
from tests.fixtures.backends import free_port, running, wait_until
from tests.fixtures.kinesis import client, serving, unique_stream
from tests.fixtures.spark_queries import Queries, driving

_SHARDS = 2
_BATCH = 500
_STREAMS = 3


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield the catch-up's records/s without and with the service's limits, the idle query's CPU, a put's latency."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        pinline_data=folder / "kafka",
        kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
        kafka_controller_port=free_port(),
    )
    for made in ("kafka", "free", "spark"):
        (folder / made).mkdir(parents=True, exist_ok=True)
    kafka = settings.kafka_bootstrap_servers
    with (
        running("kafka", settings),
        serving(kafka, folder / "free", "--no-limits") as free,
        driving(folder / "spark") as spark,
    ):
        cloud = free.client(retries={"max_attempts": 10})
        stream = unique_stream(_SHARDS, cloud)
        _fill(cloud, stream, size.records)
        drained = drain(free.url, [stream], size.records)
        few = unique_stream(_SHARDS, cloud)
        _fill(cloud, few, 10 * _BATCH)
        _catch_up(spark, _options(free.url, few), 10 * _BATCH)  # the driver's first query takes seconds longer
        options = _options(free.url, stream, maxFetchRate="1000")
        found = _catch_up(spark, options, size.records)
        note = f"{_SHARDS} shards, the service without limits, counted in foreachBatch; the query's start included"
        yield Row("source", "catch-up, 400 B", found, "records/s", "bare boto3", drained, Goal(ratio=0.6), note)
        yield from _idle(spark, cloud, free.url, size)


def _idle(spark: Queries, cloud: Any, url: str, size: Size) -> Iterator[Row]:
    streams = [unique_stream(_SHARDS, cloud) for _ in range(_STREAMS)]
    query = spark.query(_options(url, *streams)).start()
    cloud.put_record(StreamName=streams[0], Data=b"x", PartitionKey="x")
    query.wait_for(1)
    driver = psutil.Process(spark.process.pid)
    time.sleep(size.seconds)
    before, begun = cpu_seconds(driver), time.perf_counter()
    time.sleep(3 * size.seconds)
    share = (cpu_seconds(driver) - before) / (time.perf_counter() - begun)
    note = f"{_STREAMS} streams of {_SHARDS} shards; JVM, driver and workers together"
    yield Row("source", "idle", share * 100, "% of a core", goal=Goal(most=10), note=note)
    times = []
    for number in range(2, 22):
        begun = time.perf_counter()
        cloud.put_record(StreamName=streams[number % _STREAMS], Data=b"x", PartitionKey=str(number))
        wait_until(lambda number=number: len(query.rows()) >= number, 20, "the record is read")  # type: ignore[misc]
        times.append(time.perf_counter() - begun)
    query.stop()
    times.sort()
    note = f"longest {times[-1]:.2f} s; foreachBatch that collects, looked for every 50 ms"
    yield Row("source", "from the put to the end of its batch, p50", times[len(times) // 2], "s", note=note)


def _options(url: str, *streams: str, **more: str) -> dict[str, str]:
    keys = {"awsAccessKey": "test", "awsSecretKey": "test", "region": "us-east-1"}
    return {**keys, "endpointUrl": url, "streamName": ",".join(streams), "initialPosition": "earliest", **more}


def _fill(cloud: Any, stream: str, count: int) -> None:
    for first in range(0, count, _BATCH):
        records = [{"Data": b"x" * 400, "PartitionKey": str(first + number)} for number in range(_BATCH)]
        failed = cloud.put_records(StreamName=stream, Records=records)["FailedRecordCount"]
        if failed:
            raise RuntimeError(f"{failed} records were not put")


def drain(url: str, streams: Sequence[str], count: int, since: datetime | None = None) -> float:
    """Return records/s of boto3 in a loop over the streams' shards, from `since` or the beginning to their ends."""
    cloud = client(url)
    begun, read = time.perf_counter(), 0
    at = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since} if since else {"ShardIteratorType": "TRIM_HORIZON"}
    shards = [(stream, shard["ShardId"]) for stream in streams for shard in _shards(cloud, stream)]
    for stream, shard in shards:
        iterator = cloud.get_shard_iterator(StreamName=stream, ShardId=shard, **at)["ShardIterator"]
        while True:
            answer = cloud.get_records(ShardIterator=iterator, Limit=10_000)
            read += len(answer["Records"])
            iterator = answer["NextShardIterator"]
            if not answer["Records"] and not answer["MillisBehindLatest"]:
                break
    if read != count:
        raise RuntimeError(f"boto3 read {read} of {count} records")
    return read / (time.perf_counter() - begun)


def _shards(cloud: Any, stream: str) -> list[dict[str, Any]]:
    shards: list[dict[str, Any]] = cloud.list_shards(StreamName=stream)["Shards"]
    return shards


def _catch_up(spark: Queries, options: dict[str, str], count: int) -> float:
    """Return records/s of an AvailableNow query that counts them."""
    query = spark.query(options)
    begun = time.perf_counter()
    query.start(only_count=True, availableNow=True).end()
    spent = time.perf_counter() - begun
    if query.counted() != count:
        raise RuntimeError(f"the query read {query.counted()} of {count} records")
    return count / spent
