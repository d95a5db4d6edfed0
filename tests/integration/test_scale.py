"""Beyond one machine, simulated on this one: three Kafka brokers, two gateways, three sinks; a Spark cluster.

What settings alone give: tests/unit/test_scaling_settings.py. Figures: bench/scale.py.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from native import ready
from native.ready import problem
from pinline import aws
from pinline.events import EVENTS, PIN
from pinline.init import ensure_topics
from tests.e2e import oracle
from tests.faults.posting import lose_a_broker, not_stored
from tests.fixtures import gateway, lake
from tests.fixtures.backends import MakeSettings, free_port, wait_until
from tests.fixtures.brokers import three_brokers
from tests.fixtures.sink import PROPERTIES, sharing, staged
from tests.fixtures.spark_cluster import spark_cluster

pytestmark = [pytest.mark.integration, pytest.mark.faults]

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
            wait_until(lambda: is_shared(ports), 60, "the sinks share the partitions", log=stage.tail)
            urls = [f"{each.stage}/topics/{topic}" for each in (first, second)]
            seen = lose_a_broker(brokers, topic, urls, records=50, clients=2, pause_s=0.02)
            stored = {
                (partition, offset): value
                for partition in range(PARTITIONS)
                for offset, (_, value) in enumerate(first.read(topic, partition))
            }
            assert not_stored(seen.acknowledged, stored) == []
            assert seen.strange == []
            stage.wait_balanced(PIN)
            wait_until(lambda: is_shared(ports), 60, "the sinks share the partitions again", log=stage.tail)
        brokers.kill(1)
        wait_until(lambda: problem(ready.kafka, settings) is None, 30, "Kafka answers without its first broker")


def is_shared(ports: list[int]) -> bool:
    """Whether every partition is with one sink, and each sink has as many."""
    found = [sharing(port) for port in ports]
    each = len(EVENTS) * PARTITIONS // SINKS
    return all(len(mine) == each for mine in found) and len(set().union(*found)) == len(EVENTS) * PARTITIONS


def test_the_batch_gives_the_same_answers_on_a_cluster_of_two_workers(
    make_settings: MakeSettings, s3_endpoint: str, tmp_path: Path
) -> None:
    rows = lake.many_rows(200)
    with spark_cluster(tmp_path / "cluster") as master:
        values: dict[str, Any] = {
            "user_id": "cluster",
            "aws_endpoint_url_s3": s3_endpoint,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "spark_remote": f"sc://127.0.0.1:{free_port()}",
            "spark_ui_port": free_port(),
            "spark_master": master,
            # not where the server listens: executors go where this setting says
            "spark_driver_host": "127.0.0.2",
        }
        settings = make_settings(**values)
        aws.s3_client(settings).create_bucket(Bucket=settings.bucket)
        lake.put_all(settings, rows)
        with lake.serving(values, tmp_path):
            command(values, "lakehouse.batch")
            answers = json.loads(command(values, "lakehouse.results", "--format", "json"))
            worked = [executor["totalTasks"] for executor in lake.executors(settings)]
    assert {name: oracle.ordered(found) for name, found in answers.items()} == oracle.answers(oracle.of_rows(rows))
    assert len(worked) == 2
    assert all(worked)


def command(values: dict[str, Any], module: str, *arguments: str) -> str:
    """Run a command of the user's with `values` as its settings; return what it prints."""
    words = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(words, env=lake.environment(values), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
