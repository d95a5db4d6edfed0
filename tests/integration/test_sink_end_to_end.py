"""The sink as a process between a real Kafka and a real S3: every offset in exactly one place, whatever dies."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from kafka.consumer import KafkaConsumer
from kafka.errors import KafkaError
from kafka.producer import KafkaProducer
from kafka.structs import TopicPartition

from pinline import deadletters, events, objects
from pinline.aws import s3_client
from pinline.settings import ROOT, Settings
from tests.fixtures.backends import MakeSettings, free_port, wait_until

pytestmark = pytest.mark.integration

PROPERTIES = """
name={user}-sink
topics.regex={user}\\\\..*
s3.bucket.name=${{env:S3_BUCKET}}
flush.size={flush}
rotate.schedule.interval.ms=500
"""


class Stage:
    """One test's user: topics, bucket, configuration, and what is where."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.user = settings.user_id
        self.s3 = s3_client(settings)
        self.s3.create_bucket(Bucket=settings.bucket)
        self.admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
        self.producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, linger_ms=5)
        self.log = folder / "sink.log"

    def topic(self, name: str, partitions: int) -> str:
        topic = f"{self.user}.{name}"
        self.admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
        self.admin.wait_for_topics([topic])
        return topic

    def configure(self, text: str) -> Path:
        path = self.folder / "sink.properties"
        path.write_text(text)
        return path

    def send(self, topic: str, values: list[bytes | None], partitions: int = 1) -> None:
        futures = [
            self.producer.send(topic, value, key=str(n).encode(), partition=n % partitions)
            for n, value in enumerate(values)
        ]
        self.producer.flush()
        for future in futures:
            future.get(10)

    def start(self, config: Path) -> "subprocess.Popen[bytes]":
        s = self.settings
        environment = {
            **os.environ,
            "PINLINE_ENV_FILE": str(self.folder / "none.env"),
            "USER_ID": s.user_id,
            "AWS_ENDPOINT_URL_S3": s.aws_endpoint_url_s3 or "",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "KAFKA_BOOTSTRAP_SERVERS": s.kafka_bootstrap_servers,
            "SINK_METRICS_PORT": str(s.sink_metrics_port),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "services")]),
        }
        command = [sys.executable, "-m", "sink", "--config", str(config)]
        with self.log.open("ab") as out:
            return subprocess.Popen(command, env=environment, cwd=self.folder, stdout=out, stderr=out)

    @contextmanager
    def sink(self, config: Path) -> "Iterator[subprocess.Popen[bytes]]":
        process = self.start(config)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(30)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.sink_metrics_port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def object_keys(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.settings.bucket, Prefix="topics/")
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def lines(self, topic: str) -> list[bytes]:
        found = []
        for key in self.object_keys():
            if key.startswith(objects.topic_prefix(topic)):
                body = self.s3.get_object(Bucket=self.settings.bucket, Key=key)["Body"].read()
                found += body.splitlines()
        return found

    def numbers(self, topic: str) -> list[int]:
        return sorted(json.loads(line)["n"] for line in self.lines(topic))

    def ranges(self, topic: str, partition: int) -> list[objects.ObjectRange]:
        prefix = objects.partition_prefix(topic, partition)
        heads = [
            self.s3.head_object(Bucket=self.settings.bucket, Key=k) for k in self.object_keys() if k.startswith(prefix)
        ]
        return [found for head in heads if (found := objects.ObjectRange.from_metadata(head["Metadata"]))]

    def dead_letters(self) -> list[deadletters.Origin]:
        consumer = KafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers, auto_offset_reset="earliest", group_id=None
        )
        where = TopicPartition(events.dead_letter_topic(self.user), 0)
        consumer.assign([where])
        consumer.seek_to_beginning(where)
        end = consumer.end_offsets([where])[where]
        found: list[Any] = []
        while len(found) < end:
            found += consumer.poll(1000).get(where, [])
        consumer.close()
        return [origin for r in found if (origin := deadletters.Origin.from_headers(r.headers))]

    def empty_bucket(self) -> None:
        for key in self.object_keys():
            self.s3.delete_object(Bucket=self.settings.bucket, Key=key)

    def wait_for(self, topic: str, count: int, seconds: float = 60) -> None:
        wait_until(lambda: len(self.lines(topic)) >= count, seconds, f"{count} lines of {topic}\n{self.tail()}")

    def tail(self) -> str:
        return self.log.read_text()[-3000:] if self.log.exists() else ""


@pytest.fixture
def stage(make_settings: MakeSettings, kafka_broker: str, s3_endpoint: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(
        make_settings(
            kafka_bootstrap_servers=kafka_broker, aws_endpoint_url_s3=s3_endpoint, sink_metrics_port=free_port()
        ),
        tmp_path,
    )
    yield stage
    stage.producer.close()
    stage.admin.close()


def posts(start: int, end: int) -> list[bytes | None]:
    return [json.dumps({"n": n, "text": "ü"}).encode() for n in range(start, end)]


@pytest.mark.parametrize(
    ("partitions", "flush", "count"), [(1, 1, 120), (3, 1, 120), (1, 1000, 5000), (3, 1000, 40000)]
)
def test_every_record_is_one_line_of_one_object(stage: Stage, partitions: int, flush: int, count: int) -> None:
    topic = stage.topic("pin", partitions)
    stage.send(topic, posts(0, count), partitions)
    with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=flush))):
        stage.wait_for(topic, count)
        assert stage.numbers(topic) == list(range(count))
        assert stage.get("/readyz")[0] == 200
        assert "pinline_sink_records_total" in stage.get("/metrics")[1]
    if flush == 1:
        assert f"topics/{topic}/partition=0/{topic}+0+0000000000.json" in stage.object_keys()
        assert len(stage.object_keys()) == count


def test_the_courses_configuration_runs_and_writes_an_object_a_record(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 30))
    course = (ROOT / "tests/data/course-s3-sink.properties").read_text().replace("<UserId>", stage.user)
    with stage.sink(stage.configure(course)):
        stage.wait_for(topic, 30)
    assert stage.object_keys() == [objects.object_key(topic, 0, offset) for offset in range(30)]


def test_the_shipped_configuration_runs(stage: Stage) -> None:
    topic = stage.topic("geo", 1)
    stage.send(topic, posts(0, 1500))
    with stage.sink(ROOT / "services/sink/s3-sink.properties"):
        stage.wait_for(topic, 1500)
    assert stage.object_keys() == [objects.object_key(topic, 0, 0), objects.object_key(topic, 0, 1000)]


def test_what_is_not_json_is_a_dead_letter_and_nulls_are_passed_over(stage: Stage) -> None:
    topic = stage.topic("user", 1)
    big = json.dumps({"n": 4, "text": "x" * 900_000}).encode()
    stage.send(
        topic, [b"poison", b'{"n": 1}', None, b'{"n": 3, ', big, b'{\n"n": 12345678901234567890123}', b"bad", None]
    )
    with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=1000))):
        stage.wait_for(topic, 3)
        wait_until(lambda: len(stage.dead_letters()) >= 3, 30, "three dead letters")
    assert stage.lines(topic) == [b'{"n": 1}', big, b'{ "n": 12345678901234567890123}']
    assert [letter.offset for letter in stage.dead_letters()] == [0, 3, 6]
    assert all("not JSON" in letter.reason and letter.topic == topic for letter in stage.dead_letters())


def test_killed_at_any_moment_and_started_again_each_offset_is_written_once(stage: Stage) -> None:
    topic, count = stage.topic("pin", 3), 6000
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=100))
    stage.send(topic, posts(0, count), 3)
    for part in (500, 2000, 4000):
        process = stage.start(config)
        stage.wait_for(topic, part)
        process.kill()
        process.wait(10)
    with stage.sink(config):
        stage.wait_for(topic, count, 90)
    assert stage.numbers(topic) == list(range(count))


def test_an_emptied_bucket_is_filled_again_while_the_sink_runs_idle(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 250))
    with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=100))):
        stage.wait_for(topic, 250)
        stage.empty_bucket()
        stage.wait_for(topic, 250)
    assert stage.numbers(topic) == list(range(250))


def test_a_bucket_emptied_under_load_is_filled_again_without_a_gap(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 2000))
    with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=50))):
        stage.wait_for(topic, 2000)
        stage.empty_bucket()
        stage.send(topic, posts(2000, 2500))
        stage.wait_for(topic, 2500)
    assert stage.numbers(topic) == list(range(2500))


def test_a_bucket_emptied_while_the_sink_is_stopped_is_filled_again(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 50))
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    with stage.sink(config):
        stage.wait_for(topic, 50)
    stage.empty_bucket()
    with stage.sink(config):
        stage.wait_for(topic, 50)
    assert stage.numbers(topic) == list(range(50))


def test_deleted_group_offsets_change_nothing(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 50))
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    with stage.sink(config):
        stage.wait_for(topic, 50)
    group = f"connect-{stage.user}-sink"
    wait_until(lambda: _deleted(stage.admin, group), 30, "the group is deleted")
    stage.send(topic, posts(50, 80))
    with stage.sink(config):
        stage.wait_for(topic, 80)
    assert stage.numbers(topic) == list(range(80))


def _deleted(admin: KafkaAdminClient, group: str) -> bool:
    try:
        admin.delete_groups([group])
    except (KafkaError, AttributeError) as error:
        return "NotFound" in type(error).__name__
    return True


@pytest.mark.parametrize("running", [True, False], ids=["while running", "while stopped"])
def test_a_recreated_topic_stops_its_partition_and_the_others_go_on(stage: Stage, running: bool) -> None:
    topic, other = stage.topic("pin", 1), stage.topic("geo", 1)
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    stage.send(topic, posts(0, 50))

    def recreate() -> None:
        stage.admin.delete_topics([topic])
        wait_until(lambda: _created(stage, topic), 30, "the topic is made again")
        stage.send(topic, posts(1000, 1010))

    with stage.sink(config):
        stage.wait_for(topic, 50)
        if running:
            recreate()
            _expect_stopped(stage, topic)
    if not running:
        recreate()
    with stage.sink(config):
        error = _expect_stopped(stage, topic)
        stage.send(other, posts(0, 30))
        stage.wait_for(other, 30)
    assert stage.numbers(topic) == list(range(50))
    assert f"topics/{topic}/partition=0/" in error
    assert stage.ranges(topic, 0)[0].topic_id in error
    assert "Choose" in error


def _created(stage: Stage, topic: str) -> bool:
    try:
        stage.admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
        stage.admin.wait_for_topics([topic])
    except KafkaError:
        return False
    return True


def _expect_stopped(stage: Stage, topic: str) -> str:
    def error() -> str:
        _, text = stage.get("/readyz")
        found: str = json.loads(text or "{}").get("errors", {}).get(f"{topic}-0", "")
        return found

    wait_until(lambda: bool(error()), 40, f"the partition stopped\n{stage.tail()}")
    return error()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda stage: stage.s3.delete_bucket(Bucket=stage.settings.bucket), "make up"),
        (lambda stage: stage.configure("flush.size=0"), "valid is"),
    ],
    ids=["bucket missing", "configuration wrong"],
)
def test_the_sink_refuses_to_start_and_says_why(stage: Stage, change: Callable[[Stage], Any], expected: str) -> None:
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=1))
    change(stage)
    process = stage.start(config)
    assert process.wait(60) != 0
    assert expected in stage.tail()


def test_a_position_that_kafka_no_longer_has_stops_the_partition_with_the_lost_range(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    stage.send(topic, posts(0, 50))
    with stage.sink(config):
        stage.wait_for(topic, 50)
    stage.send(topic, posts(50, 80))
    stage.admin.delete_records({TopicPartition(topic, 0): 70})
    with stage.sink(config):
        error = _expect_stopped(stage, topic)
    assert "offset 50" in error
    assert "50..69 are lost" in error
    assert stage.numbers(topic) == list(range(50))
