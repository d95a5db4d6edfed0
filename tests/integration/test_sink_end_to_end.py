"""The sink as a process between a real Kafka and a real S3: every offset in exactly one place, whatever dies."""

from collections.abc import Callable
from typing import Any

import pytest

from pinline import objects
from pinline.settings import ROOT
from tests.fixtures.sink import PROPERTIES, Stage, posts

pytestmark = pytest.mark.integration


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
