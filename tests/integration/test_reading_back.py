"""Reading Kafka and S3 back: topics, wait and the facts of accounting, on objects that the test itself puts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import NewTopic
from typer.testing import CliRunner

from pinline import aws, kafka_log
from pinline.accounting import facts
from pinline.cli import topics as topics_command
from pinline.deadletters import Origin
from pinline.errors import DeadlineError, StateError, UnreachableError
from pinline.events import PIN, dead_letter_topic, topics
from pinline.kafka import kafka_python_config
from pinline.objects import ObjectRange, object_key
from pinline.settings import Settings
from pinline.waiting import wait_for_s3
from tests.fixtures.backends import MakeSettings, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(make_settings: MakeSettings, kafka_broker: str, s3_endpoint: str) -> Settings:
    made = make_settings(kafka_bootstrap_servers=kafka_broker, aws_endpoint_url_s3=s3_endpoint)
    names = [*topics(made.user_id), dead_letter_topic(made.user_id)]
    with kafka_log.connect_admin(made) as admin:
        admin.create_topics([NewTopic(name=name, num_partitions=1, replication_factor=1) for name in names])
    aws.s3_client(made).create_bucket(Bucket=made.bucket)
    return made


@pytest.fixture
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    made = KafkaProducer(**kafka_python_config(settings))
    yield made
    made.close()


def send(producer: KafkaProducer, topic: str, *values: bytes | None) -> None:
    for value in values:
        producer.send(topic, key=b"k", value=value).get(10)


def put(settings: Settings, first: int, last: int, *rows: dict[str, Any]) -> None:
    topic = PIN.topic(settings.user_id)
    aws.s3_client(settings).put_object(
        Bucket=settings.bucket,
        Key=object_key(topic, 0, first),
        Body=b"".join(json.dumps(row).encode() + b"\n" for row in rows),
        Metadata=ObjectRange("id", first, last, len(rows)).to_metadata(),
    )


def test_wait_names_the_offsets_that_are_not_in_s3(settings: Settings, producer: KafkaProducer) -> None:
    topic = PIN.topic(settings.user_id)
    send(producer, topic, b'{"index":1}', b'{"index":2}', b'{"index":3}')
    put(settings, 0, 1, {"index": 1}, {"index": 2})
    with pytest.raises(DeadlineError, match=rf"{topic}\[0\] 2-2"):
        wait_for_s3(settings, 0, lambda _: None)
    put(settings, 2, 2, {"index": 3})
    assert wait_for_s3(settings, 0, lambda _: None) == 0


def test_wait_does_not_wait_for_nulls_and_dead_letters(settings: Settings, producer: KafkaProducer) -> None:
    topic = PIN.topic(settings.user_id)
    send(producer, topic, None, b"not json")
    origin = Origin(topic, 0, 1, "not JSON")
    producer.send(dead_letter_topic(settings.user_id), value=b"not json", headers=origin.to_headers()).get(10)
    wait_for_s3(settings, 0, lambda _: None)


def test_facts_hold_offsets_nulls_dead_letters_and_the_key_of_every_line(
    settings: Settings, producer: KafkaProducer
) -> None:
    topic = PIN.topic(settings.user_id)
    send(producer, topic, b'{"index":1}', None, b"not json", b'{"index":4}')
    origin = Origin(topic, 0, 2, "not JSON")
    producer.send(dead_letter_topic(settings.user_id), value=b"not json", headers=origin.to_headers()).get(10)
    put(settings, 0, 3, {"index": 1}, {"index": "x"}, {})
    with kafka_log.connect(settings) as consumer:
        dead = facts.dead_letters(consumer, settings)
        held = facts.kafka_partitions(consumer, topic, dead, lambda _: None)[0]
    assert held.offsets.tolist() == [0, 1, 2, 3]
    assert (held.nulls.tolist(), held.dead_letters.tolist()) == ([1], [2])
    (found,) = facts.object_lines(aws.s3_client(settings), settings, PIN, lambda _: None)
    assert found.keys.tolist() == [1, facts.NO_KEY, facts.NO_KEY]
    assert found.range == ObjectRange("id", 0, 3, 3)


def test_topics_shows_what_kafka_holds(
    settings: Settings, producer: KafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = PIN.topic(settings.user_id)
    send(producer, topic, b'{"index":1}', b"raw", None)
    monkeypatch.setattr(topics_command, "load", lambda: settings)
    run = CliRunner().invoke
    assert topic in run(topics_command.app, ["list"]).stdout
    tail = [json.loads(line) for line in run(topics_command.app, ["tail", topic, "-n", "2"]).stdout.splitlines()]
    assert [(line["offset"], line["value"]) for line in tail] == [(1, "raw"), (2, None)]
    assert "end offset" in run(topics_command.app, ["describe", topic]).stdout
    missing = run(topics_command.app, ["tail", "nothing"])
    assert isinstance(missing.exception, StateError)
    assert "no topic 'nothing'" in str(missing.exception)


def test_an_unreachable_kafka_is_named_with_its_setting(make_settings: MakeSettings) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError, match=f"{address} .KAFKA_BOOTSTRAP_SERVERS."):
        wait_for_s3(make_settings(kafka_bootstrap_servers=address), 0, lambda _: None)


def test_a_missing_bucket_is_named(make_settings: MakeSettings, s3_endpoint: str) -> None:
    settings = make_settings(aws_endpoint_url_s3=s3_endpoint)
    with pytest.raises(StateError, match=settings.bucket):
        list(facts.object_lines(aws.s3_client(settings), settings, PIN, lambda _: None))
