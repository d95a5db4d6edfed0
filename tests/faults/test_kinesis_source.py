"""Real queries of `format("kinesis")` while Kinesis, a stream or the driver goes away."""

import signal
from typing import Any

import pytest

from tests.fixtures.backends import free_port, wait_until
from tests.fixtures.kinesis import Kinesis, StartKinesis, unique_stream, wait_gone
from tests.fixtures.spark_queries import Queries, driving

pytestmark = pytest.mark.faults


def options(url: str, stream: str, **more: str) -> dict[str, str]:
    """Return the options that a query needs."""
    keys = {"awsAccessKey": "test", "awsSecretKey": "test", "region": "us-east-1"}
    return {**keys, "endpointUrl": url, "streamName": stream, "initialPosition": "earliest", **more}


def put(cloud: Any, stream: str, *datas: str) -> None:
    """Put a record each."""
    for data in datas:
        cloud.put_record(StreamName=stream, Data=data, PartitionKey=data)


def read(rows: list[dict[str, Any]]) -> list[str]:
    """Return the records' data in order."""
    return sorted(row["data"] for row in rows)


def test_a_query_outlives_kinesis_going_away(
    kafka_broker: str, start_kinesis: StartKinesis, spark_queries: Queries
) -> None:
    port = free_port()
    with start_kinesis(kafka_broker, "--no-limits", port=port) as service:
        cloud = service.client()
        stream = unique_stream(1, cloud)
        put(cloud, stream, "1")
        query = spark_queries.query(options(service.url, stream)).start()
        query.wait_for(1)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait(10)
    log = spark_queries.folder / "driver.log"
    wait_until(lambda: "trying again until it answers" in log.read_text(), 60, "the source has noticed")
    with start_kinesis(kafka_broker, "--no-limits", port=port):
        put(cloud, stream, "2")
        assert read(query.wait_for(2)) == ["1", "2"]
        assert query.status()["error"] is None
        query.stop()


def test_an_unknown_stream_stops_a_query_at_its_start(kinesis: Kinesis, spark_queries: Queries) -> None:
    query = spark_queries.query(options(kinesis.url, "no-such")).start()
    assert "cannot read the stream no-such" in query.failure()


def test_a_stream_made_again_stops_a_query_at_its_restart(kinesis: Kinesis, spark_queries: Queries) -> None:
    cloud = kinesis.client()
    stream = unique_stream(1, cloud)
    created = cloud.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamCreationTimestamp"]
    put(cloud, stream, "1")
    query = spark_queries.query(options(kinesis.url, stream)).start()
    query.wait_for(1)
    query.stop()
    cloud.delete_stream(StreamName=stream)
    wait_gone(cloud, stream)

    def made_again() -> bool:
        unique_stream(1, cloud, name=stream)
        summary = cloud.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        if summary["StreamCreationTimestamp"] > created:
            return True
        cloud.delete_stream(StreamName=stream)
        wait_gone(cloud, stream)
        return False

    wait_until(made_again, 20, "the stream has a creation time of its own")
    put(cloud, stream, "2")
    assert "It was deleted and created again" in query.start().failure()
    assert read(query.rows()) == ["1"]


def test_a_driver_killed_in_a_batch_reads_the_same_batch_again(
    kinesis: Kinesis, spark_queries: Queries, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cloud = kinesis.client()
    stream = unique_stream(2, cloud)
    put(cloud, stream, *(f"{number:02}" for number in range(20)))
    query = spark_queries.query(options(kinesis.url, stream))
    with driving(tmp_path_factory.mktemp("killed")) as doomed:
        query.on(doomed).start(die_in_batch=0)
        assert doomed.process.wait(120) == -signal.SIGKILL
    assert 0 in query.offsets()
    assert query.batches() == []
    put(cloud, stream, "20")
    query.on(spark_queries).start()
    rows = query.wait_for(21)
    query.stop()
    assert read(rows) == [f"{number:02}" for number in range(21)]
    assert "20" not in read(query.batches()[0])
