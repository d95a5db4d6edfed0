"""What may happen to Kafka's log and to the bucket while the sink runs or is stopped. Each ends with accounting."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from pinline import objects
from pinline.events import USER
from tests.fixtures.backends import wait_until
from tests.fixtures.sink import PROPERTIES, Stage, posts

pytestmark = [pytest.mark.faults, pytest.mark.integration]


def test_poison_first_what_is_not_json_nulls_and_a_record_of_1_mb_each_end_in_one_place(stage: Stage) -> None:
    topic = stage.topic("user", 1)
    big = json.dumps({"n": 4, "text": "x" * 1_000_000}).encode()
    stage.send(
        topic, [b"poison", b'{"n": 1}', None, b'{"n": 3, ', big, b'{\n"n": 12345678901234567890123}', b"bad", None]
    )
    with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=1000))):
        balance = stage.wait_balanced(USER)
    assert (balance.lines, balance.dead_letters, balance.ignored_nulls) == (3, 3, 2)
    assert stage.lines(topic) == [b'{"n": 1}', big, b'{ "n": 12345678901234567890123}']
    assert [letter.offset for letter in stage.dead_letters()] == [0, 3, 6]
    assert all("not JSON" in letter.reason and letter.topic == topic for letter in stage.dead_letters())


def test_an_emptied_bucket_is_filled_again_while_the_sink_runs_idle(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 250))
    with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=100))):
        stage.wait_balanced()
        stage.empty_bucket()
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(250))


def test_a_bucket_emptied_under_load_is_filled_again_without_a_gap(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 1000))
    with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=50))):
        stage.wait_for(topic, 500)
        stage.empty_bucket()
        stage.send(topic, posts(1000, 1500))
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(1500))


def test_a_bucket_emptied_while_the_sink_is_stopped_is_filled_again(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 50))
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    with stage.sink(config):
        stage.wait_balanced()
    stage.empty_bucket()
    with stage.sink(config):
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(50))


def test_a_missing_bucket_is_refused_at_start_and_nothing_is_lost_once_it_is_there(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 50))
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    stage.s3.delete_bucket(Bucket=stage.settings.bucket)
    assert stage.start(config).wait(60) != 0
    assert f"the bucket {stage.settings.bucket} (S3_BUCKET)" in stage.tail()
    assert "make up" in stage.tail()
    stage.s3.create_bucket(Bucket=stage.settings.bucket)
    with stage.sink(config):
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(50))


def test_a_bucket_deleted_and_made_again_while_the_sink_runs_is_filled_again(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 50))
    with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=20))):
        stage.wait_balanced()
        stage.empty_bucket()
        stage.s3.delete_bucket(Bucket=stage.settings.bucket)
        stage.send(topic, posts(50, 80))
        wait_until(lambda: stage.failures() > 0, 60, "the sink misses the bucket", log=stage.tail)
        stage.s3.create_bucket(Bucket=stage.settings.bucket)
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(80))


def test_deleted_group_offsets_change_nothing(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 50))
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    with stage.sink(config):
        stage.wait_balanced()
    wait_until(lambda: _deleted(stage.admin, f"connect-{stage.user}-sink"), 30, "the group is deleted")
    stage.send(topic, posts(50, 80))
    with stage.sink(config):
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(80))


def _deleted(admin: KafkaAdminClient, group: str) -> bool:
    try:
        admin.delete_groups([group])
    except (KafkaError, AttributeError) as error:
        return "NotFound" in type(error).__name__
    return True


@pytest.mark.parametrize("running", [True, False], ids=["while running", "while stopped"])
def test_a_recreated_topic_stops_its_partition_until_the_old_objects_are_moved(stage: Stage, running: bool) -> None:
    topic, other = stage.topic("pin", 1), stage.topic("geo", 1)
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    stage.send(topic, posts(0, 50))

    def recreate() -> None:
        stage.recreate(topic)
        stage.send(topic, posts(1000, 1010))

    with stage.sink(config):
        stage.wait_balanced()
        if running:
            recreate()
            stage.wait_stopped(topic)
    if not running:
        recreate()
    with stage.sink(config):
        error = stage.wait_stopped(topic)
        stage.send(other, posts(0, 30))
        stage.wait_for(other, 30)
    assert stage.numbers(topic) == list(range(50)), "nothing was written over, nothing added"
    assert f"topics/{topic}/partition=0/" in error
    assert stage.ranges(topic, 0)[0].topic_id in error
    assert "Choose" in error

    _move_objects(stage, topic)
    with stage.sink(config):
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(1000, 1010))


def test_a_position_that_kafka_no_longer_has_stops_the_partition_with_the_lost_range(stage: Stage) -> None:
    topic = stage.topic("pin", 1)
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    stage.send(topic, posts(0, 50))
    with stage.sink(config):
        stage.wait_balanced()
    stage.send(topic, posts(50, 80))
    stage.admin.delete_records({TopicPartition(topic, 0): 70})
    with stage.sink(config):
        error = stage.wait_stopped(topic)
    assert "offset 50" in error
    assert "50..69 are lost" in error
    assert stage.numbers(topic) == list(range(50)), "nothing was skipped"

    _move_objects(stage, topic)
    with stage.sink(config):
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(70, 80))


def _move_objects(stage: Stage, topic: str) -> None:
    """What the errors tell a person to do."""
    source: Callable[[str], Any] = lambda key: {"Bucket": stage.settings.bucket, "Key": key}  # noqa: E731
    for key in stage.object_keys():
        if key.startswith(objects.topic_prefix(topic)):
            stage.s3.copy_object(**source(f"old/{key}"), CopySource=source(key))
            stage.s3.delete_object(**source(key))
