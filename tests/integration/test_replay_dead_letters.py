"""`pinline replay --kind dlq` with a real Kafka and a real sink: each dead letter once, whatever is killed."""

import signal

import pytest

from pinline import object_store
from pinline.aws import s3_client
from pinline.events import PIN, dead_letter_topic, replayed_topic
from pinline.objects import topic_prefix
from tests.fixtures.replay import MakePipeline, Pipeline

pytestmark = pytest.mark.integration

REFUSED = [b'{"index": %d, "title": "refused"}' % index for index in range(5)]
GOOD = [b'{"index": 100}', b'{"index": 101}', b'{"index": 102}']


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    """Three partitions with dead letters of an older sink before the last record; no sink runs any more."""
    made = make_pipeline(kafka_partitions=3)
    with made.sink(strict=True):
        for index, value in enumerate(REFUSED):
            made.send("pin", value, str(index), partition=index % 3)
        for partition, value in enumerate(GOOD):
            made.send("pin", value, str(100 + partition), partition=partition)
        made.run("pinline", "wait")
    assert len(made.records(dead_letter_topic(made.settings.user_id))) == len(REFUSED)
    return made


def pins(pipeline: Pipeline) -> list[tuple[int, bytes, bytes]]:
    """Partition, key and value of what the pins' topic holds."""
    return sorted((r.partition, r.key, r.value) for r in pipeline.records(PIN.topic(pipeline.settings.user_id)))


def lines_in_s3(pipeline: Pipeline) -> list[bytes]:
    s3, prefix = s3_client(pipeline.settings), topic_prefix(PIN.topic(pipeline.settings.user_id))
    keys = [key for key, _ in object_store.list_keys(s3, pipeline.settings, prefix)]
    return sorted(line for key in keys for line in object_store.lines(s3, pipeline.settings, key))


def kill_at(pipeline: Pipeline, moment: str) -> None:
    pipeline.run("pinline", "replay", code=-signal.SIGKILL, pinline_fault=f"after:{moment}")


def test_each_dead_letter_is_sent_once_with_its_key_and_value_and_kept(pipeline: Pipeline) -> None:
    before, user = pins(pipeline), pipeline.settings.user_id
    assert "5 sent, 0 were sent before" in pipeline.run("pinline", "replay", "--kind", "dlq")
    copies = [(index % 3, f'"{index}"'.encode(), value) for index, value in enumerate(REFUSED)]
    assert pins(pipeline) == sorted(before + copies)
    assert "0 sent, 5 were sent before" in pipeline.run("pinline", "replay", "--kind", "dlq")
    assert pins(pipeline) == sorted(before + copies)
    assert len(pipeline.records(dead_letter_topic(user))) == len(REFUSED)
    assert len(pipeline.records(replayed_topic(user))) == len(REFUSED)


@pytest.mark.parametrize("moment", ["replay:sent", "replay:marked"])
def test_a_kill_between_sending_and_marking_sends_nothing_twice(pipeline: Pipeline, moment: str) -> None:
    before = pins(pipeline)
    kill_at(pipeline, moment)
    in_the_log = len(pipeline.log(PIN.topic(pipeline.settings.user_id)))
    assert in_the_log == len(before) + len(REFUSED), "the copies were written before the kill"
    assert "5 sent, 0 were sent before" in pipeline.run("pinline", "replay")
    assert len(pins(pipeline)) == len(before) + len(REFUSED)
    with pipeline.sink():
        pipeline.run("pinline", "wait")
    assert lines_in_s3(pipeline) == sorted([*GOOD, *REFUSED])


def test_dead_letters_that_the_sink_wrote_twice_are_sent_once(pipeline: Pipeline) -> None:
    topic = dead_letter_topic(pipeline.settings.user_id)
    for letter in pipeline.records(topic):
        pipeline.producer.send(topic, letter.value, letter.key, headers=letter.headers).get(20)
    assert "5 sent, 5 were sent before" in pipeline.run("pinline", "replay")


def test_copies_that_are_dead_letters_again_are_sent_again_only_when_asked_for(pipeline: Pipeline) -> None:
    with pipeline.sink(strict=True):
        assert "5 sent" in pipeline.run("pinline", "replay")
        pipeline.wait_for_dead_letters(2 * len(REFUSED))
    said = pipeline.run("pinline", "replay")
    assert "0 sent, 5 were sent before" in said
    assert "5 came back" in said
    assert "5 sent, 5 were sent before" in pipeline.run("pinline", "replay", "--again")


def test_a_letter_that_does_not_say_where_it_came_from_is_named(pipeline: Pipeline) -> None:
    topic = dead_letter_topic(pipeline.settings.user_id)
    pipeline.producer.send(topic, b"by another program").get(20)
    said = pipeline.run("pinline", "replay")
    assert "5 sent" in said
    assert f"not sent: {topic}-0@5: its headers don't say which topic it came from" in said


def test_the_sinks_lag_ends_at_zero_behind_the_markers_of_a_transaction(pipeline: Pipeline) -> None:
    pipeline.run("pinline", "replay")
    with pipeline.sink():
        pipeline.run("pinline", "wait")
        pipeline.wait_for_lag(0)


def test_two_replays_at_once_send_each_letter_once(pipeline: Pipeline) -> None:
    before = len(pins(pipeline))
    both = [pipeline.start("pinline", "replay") for _ in range(2)]
    codes = sorted(process.wait(120) for process in both)
    assert codes in ([0, 0], [0, 1])
    pipeline.run("pinline", "replay")
    assert len(pins(pipeline)) == before + len(REFUSED)
