"""Beyond one machine, simulated on this one: three Kafka brokers, two gateways, three sinks; a Spark cluster.

What settings alone give: tests/unit/test_scaling_settings.py. Figures: bench/scale.py.
"""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse import answers, tables
from lakehouse.jobs import silver
from lakehouse.tables import Lake
from native import ready
from native.ready import problem
from pinline.aws import s3_client
from pinline.events import EVENTS, PIN
from pinline.init import ensure_topics
from tests.e2e import oracle
from tests.faults.posting import lose_a_broker, not_stored
from tests.fixtures import gateway
from tests.fixtures.backends import MakeSettings, free_port, wait_until
from tests.fixtures.brokers import three_brokers
from tests.fixtures.lake import executors, many_rows, put_all, serving
from tests.fixtures.sink import PROPERTIES, sharing, staged
from tests.fixtures.spark_cluster import spark_cluster

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(1200)]

PARTITIONS = 3
SINKS = 3


def test_of_three_brokers_one_dies_and_comes_back_and_nothing_acknowledged_is_lost_up_to_s3(
    make_settings: MakeSettings, s3_endpoint: str, tmp_path: Path
) -> None:
    with three_brokers(tmp_path) as brokers:
        settings = make_settings(
            kafka_bootstrap_servers=brokers.bootstrap,
            kafka_partitions=PARTITIONS,
            kafka_replication_factor=3,
            kafka_min_insync_replicas=2,
            aws_endpoint_url_s3=s3_endpoint,
        )
        ensure_topics(settings)
        topic, folders = PIN.topic(settings.user_id), [tmp_path / name for name in ("a", "b")]
        for folder in folders:
            folder.mkdir()
        with (
            staged(settings, tmp_path) as stage,
            gateway.serving(brokers.bootstrap, folders[0]) as first,
            gateway.serving(brokers.bootstrap, folders[1]) as second,
        ):
            config = stage.configure(PROPERTIES.format(user=settings.user_id, flush=100))
            ports = [free_port() for _ in range(SINKS)]
            for port in ports:
                stage.start(config, SINK_METRICS_PORT=str(port))
            wait_until(lambda: is_shared(ports), 180, "the sinks share the partitions", log=stage.tail)
            urls = [f"{each.stage}/topics/{topic}" for each in (first, second)]
            seen = lose_a_broker(brokers, topic, urls, records=50, clients=2, pause_s=0.02)
            stored = {
                (partition, offset): value
                for partition in range(PARTITIONS)
                for offset, (_, value) in enumerate(first.read(topic, partition))
            }
            assert not_stored(seen.acknowledged, stored) == []
            assert seen.strange == []
            stage.wait_balanced(PIN, 180)
            wait_until(lambda: is_shared(ports), 180, "the sinks share the partitions again", log=stage.tail)
        brokers.kill(1)
        wait_until(lambda: problem(ready.kafka, settings) is None, 60, "Kafka answers without its first broker")


def is_shared(ports: list[int]) -> bool:
    """Whether every partition is with one sink, and each sink has as many."""
    found = [sharing(port) for port in ports]
    each = len(EVENTS) * PARTITIONS // SINKS
    return all(len(mine) == each for mine in found) and len(set().union(*found)) == len(EVENTS) * PARTITIONS


def test_cleaning_and_answers_are_the_same_on_a_cluster_of_two_workers(
    make_settings: MakeSettings, s3_endpoint: str, tmp_path: Path
) -> None:
    rows = many_rows(200)
    with spark_cluster(tmp_path / "cluster") as cluster:
        values: dict[str, Any] = {
            **cluster,
            "aws_endpoint_url_s3": s3_endpoint,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "spark_remote": f"sc://127.0.0.1:{free_port()}",
            "spark_ui_port": free_port(),
            # not where the server listens: executors go where this setting says
            "spark_driver_host": "127.0.0.2",
        }
        settings = make_settings(**values)
        s3_client(settings).create_bucket(Bucket=settings.bucket)
        put_all(settings, rows)
        with serving(values, tmp_path):
            spark = SparkSession.builder.remote(settings.spark_remote or "").create()
            try:
                found = answered(Lake(spark, settings))
            finally:
                spark.stop()
            worked = [executor["totalTasks"] for executor in executors(settings)]
    assert found == oracle.answers(oracle.of_rows(rows))
    assert len(worked) == 2
    assert all(worked)


def answered(lake: Lake) -> dict[str, list[dict[str, object]]]:
    """Take in all objects as the batch does, and ask the nine questions of what silver then holds."""
    tables.create(lake)
    for event in EVENTS:
        silver.load(lake, event, "a-run")
    answers.define_views(lake.spark, {event.name: lake.read(f"silver.{event.name}") for event in EVENTS})
    asked = {question: answers.ask(lake.spark, question).collect() for question in tables.QUESTIONS}
    return {question: oracle.ordered([row.asDict() for row in rows]) for question, rows in asked.items()}
