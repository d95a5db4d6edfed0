"""What the streaming job set aside, put into a real Kinesis again: each record once, wherever the replay is killed."""

import multiprocessing
import signal

import pytest

from pinline import aws, kafka_log
from pinline.events import EVENTS, USER, replayed_topic
from pinline.replay.entries import Entry, Place
from pinline.replay.marks import Marks
from pinline.replay.run import Result
from pinline.replay.streams import put_again
from pinline.settings import Settings
from tests.fixtures.backends import MakeSettings
from tests.fixtures.kinesis import Kinesis, read_lineage, unique_stream

pytestmark = pytest.mark.integration

BAD = [b"no JSON", b"no JSON", b"\xff\xfe", b"{}", b"[1]", b"5"]


@pytest.fixture
def settings(make_settings: MakeSettings, kinesis: Kinesis) -> Settings:
    """A user with three streams of two shards."""
    made = make_settings(aws_endpoint_url_kinesis=kinesis.url, kafka_bootstrap_servers=kinesis.kafka)
    for event in EVENTS:
        unique_stream(2, kinesis.client(), event.stream(made.user_id))
    return made


@pytest.fixture
def aside(settings: Settings) -> list[Entry]:
    """Bad records in the stream of users, as entries of the quarantine."""
    stream = USER.stream(settings.user_id)
    records = [{"Data": data, "PartitionKey": str(number)} for number, data in enumerate(BAD)]
    put = aws.kinesis_client(settings).put_records(StreamName=stream, Records=records)["Records"]
    return [
        entry(Place(stream, found["ShardId"], found["SequenceNumber"]), data)
        for found, data in zip(put, BAD, strict=True)
    ]


def entry(place: Place, data: bytes) -> Entry:
    return Entry(f"{place.topic} {place.partition}@{place.offset}", place.topic, 0, None, data, place)


def replay(settings: Settings, entries: list[Entry], *, again: bool = False) -> Result:
    return put_again(settings, entries, again=again, tell=lambda _: None)


def kill_at(settings: Settings, entries: list[Entry], moment: str) -> None:
    dying = settings.model_copy(update={"pinline_fault": f"after:{moment}"})
    process = multiprocessing.get_context("spawn").Process(target=replay, args=(dying, entries))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def in_the_stream(settings: Settings) -> list[Entry]:
    """All records of the stream of users, as entries."""
    stream = USER.stream(settings.user_id)
    found = read_lineage(aws.kinesis_client(settings), stream)
    return [
        entry(Place(stream, shard, record["SequenceNumber"]), record["Data"])
        for shard, records in found.items()
        for record in records
    ]


def values(entries: list[Entry]) -> list[bytes]:
    return sorted(found.value for found in entries)


def test_each_record_is_put_once_and_its_copy_is_known(settings: Settings, aside: list[Entry]) -> None:
    first, second = replay(settings, aside), replay(settings, aside)
    assert (first.sent, first.sent_before, first.came_back, first.unsendable) == (len(BAD), 0, 0, [])
    assert (second.sent, second.sent_before) == (0, len(BAD))
    after = in_the_stream(settings)
    assert values(after) == sorted(2 * BAD)
    came_back = replay(settings, after)
    assert (came_back.sent, came_back.sent_before, came_back.came_back) == (0, len(BAD), len(BAD))
    assert replay(settings, after, again=True).sent == len(BAD)


@pytest.mark.parametrize(("moment", "put_before"), [("replay:noted", 0), ("replay:put", 4)])
def test_a_kill_around_the_put_sends_nothing_twice(
    settings: Settings, aside: list[Entry], moment: str, put_before: int
) -> None:
    kill_at(settings, aside, moment)
    assert len(in_the_stream(settings)) == len(BAD) + put_before
    # the copies may have been set aside again by now
    found = replay(settings, in_the_stream(settings))
    assert (found.sent, found.sent_before) == (len(BAD) - put_before, put_before)
    assert found.came_back == put_before
    assert values(in_the_stream(settings)) == sorted(2 * BAD)
    assert replay(settings, aside).sent_before == len(BAD)


def test_what_a_killed_replay_put_is_found_behind_a_split(settings: Settings, aside: list[Entry]) -> None:
    kill_at(settings, aside, "replay:put")
    cloud, stream = aws.kinesis_client(settings), USER.stream(settings.user_id)
    cloud.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**126))
    assert replay(settings, aside).sent_before == 4
    assert values(in_the_stream(settings)) == sorted(2 * BAD)


def test_notes_of_what_was_marked_later_are_of_no_account(settings: Settings, aside: list[Entry]) -> None:
    replay(settings, aside)
    with kafka_log.connect(settings) as consumer:
        marks = Marks.read(consumer, replayed_topic(settings.user_id))
    assert [marks.begun(found) for found in aside] == [None] * len(BAD)
