"""`format("kinesis")` in a real query of classic Structured Streaming, on our Kinesis service."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.fixtures.kinesis import Kinesis, unique_stream, wait_active
from tests.fixtures.spark_queries import Queries

pytestmark = pytest.mark.integration


def options(kinesis: Kinesis, *streams: str, **more: str) -> dict[str, str]:
    """Return the options that a query of these streams needs."""
    keys = {"awsAccessKey": "test", "awsSecretKey": "test"}
    where = {"endpointUrl": kinesis.url, "region": "us-east-1", "streamName": ",".join(streams)}
    return {**where, **keys, "initialPosition": "earliest", **more}


def put(client: Any, stream: str, numbers: range, **more: Any) -> None:
    """Put a record a number, its key the number modulo 7."""
    for first in range(numbers.start, numbers.stop, 500):
        batch = range(first, min(first + 500, numbers.stop))
        records = [{"Data": str(n).encode(), "PartitionKey": f"key-{n % 7}", **more} for n in batch]
        assert client.put_records(StreamName=stream, Records=records)["FailedRecordCount"] == 0


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    """Return what was put, in order."""
    return sorted(int(row["data"]) for row in rows)


def test_an_unknown_option_names_the_known_ones(kinesis: Kinesis, spark_queries: Queries) -> None:
    with pytest.raises(RuntimeError, match=r"the option streamname2 is unknown. Did you mean streamName\?") as caught:
        spark_queries.call("schema", options=options(kinesis, "any", streamName2="x"))
    assert "initialPosition, maxBytesPerTrigger" in str(caught.value)


def test_columns_are_those_of_databricks(kinesis: Kinesis, spark_queries: Queries) -> None:
    stream = unique_stream(1, kinesis.client())
    found = spark_queries.call("schema", options=options(kinesis, stream))
    assert found == (
        "struct<partitionKey:string,data:binary,stream:string,shardId:string,sequenceNumber:string,"
        "approximateArrivalTimestamp:timestamp>"
    )


def test_a_query_reads_its_streams_stops_and_goes_on(kinesis: Kinesis, spark_queries: Queries) -> None:
    client = kinesis.client()
    one, two = unique_stream(2, client), unique_stream(1, client)
    put(client, one, range(10))
    query = spark_queries.query(options(kinesis, one, two)).start()
    assert numbers(query.wait_for(10)) == list(range(10))
    put(client, two, range(10, 20))
    query.wait_for(20)
    query.stop()
    put(client, one, range(20, 30))
    query.start()
    rows = query.wait_for(30)
    query.stop()
    assert numbers(rows) == list(range(30))
    assert {row["stream"] for row in rows} == {one, two}


def test_available_now_reads_what_is_there_and_ends(kinesis: Kinesis, spark_queries: Queries) -> None:
    client = kinesis.client()
    stream = unique_stream(2, client)
    put(client, stream, range(3000))
    query = spark_queries.query(options(kinesis, stream, maxRecordsPerTrigger="1000")).start(availableNow=True)
    query.end()
    assert numbers(query.rows()) == list(range(3000))
    assert [len(batch) for batch in query.batches()] == [1000, 1000, 1000]
    query.start(availableNow=True).end()
    assert len(query.batches()) == 3
    put(client, stream, range(3000, 3010))
    query.start(availableNow=True).end()
    assert numbers(query.rows()) == list(range(3010))


def test_a_batch_query_reads_all_shards(kinesis: Kinesis, spark_queries: Queries) -> None:
    client = kinesis.client()
    stream = unique_stream(1, client)
    put(client, stream, range(100))
    client.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    wait_active(client, stream)
    put(client, stream, range(100, 200))
    assert numbers(spark_queries.call("read", options=options(kinesis, stream))) == list(range(200))


def test_spark_connect_finds_the_source_too(kinesis: Kinesis, spark: SparkSession, tmp_path: Path) -> None:
    client = kinesis.client()
    stream = unique_stream(1, client)
    put(client, stream, range(50))
    frame = spark.readStream.format("kinesis").options(**options(kinesis, stream)).load()
    data = frame.selectExpr("CAST(data AS STRING) AS data")
    query = (
        data.writeStream.format("parquet")
        .option("checkpointLocation", f"{tmp_path}/checkpoint")
        .option("path", f"{tmp_path}/rows")
        .trigger(availableNow=True)
        .start()
    )
    assert query.awaitTermination(60)
    rows = spark.read.parquet(f"{tmp_path}/rows").collect()
    assert sorted(int(row.data) for row in rows) == list(range(50))
