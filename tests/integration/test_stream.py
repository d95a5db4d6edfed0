"""The streaming job: real Kinesis, Kafka, S3 and Spark; what it can't use is set aside, what comes again is dropped."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lakehouse import inspect
from lakehouse.stream import checkpoint, reset
from pinline import aws
from pinline.errors import StateError
from pinline.events import EVENTS, GEO, PIN
from pinline.replay.streams import replay_stream
from tests.faults.proxy import FaultProxy, any_request, cut, passes_to
from tests.fixtures.backends import wait_until
from tests.fixtures.forgetting import data_of, forget, late_commit, left_of
from tests.fixtures.kinesis import StartKinesis
from tests.fixtures.stream import Stream, record

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(1800)]

OUTAGE_SECONDS = 60
MOMENTS = ["read", "quarantine", "geo", "batch"]
"""The three tables are written at once: after one of them the others are written or not."""


@dataclass(frozen=True)
class Proxies:
    """What can cut a job off from S3 and from Kinesis."""

    s3: FaultProxy
    kinesis: FaultProxy

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a job behind them."""
        return {"aws_endpoint_url_s3": self.s3.url, "aws_endpoint_url_kinesis": self.kinesis.url}


@pytest.fixture(scope="module")
def proxies(stream: Stream) -> Iterator[Proxies]:
    settings = stream.settings
    with (
        FaultProxy(str(settings.aws_endpoint_url_s3)) as s3,
        FaultProxy(str(settings.aws_endpoint_url_kinesis)) as kinesis,
    ):
        yield Proxies(s3, kinesis)
        stream.kill()


@pytest.fixture
def running(stream: Stream) -> Stream:
    """The job, ready."""
    if stream.ended:
        stream.start()
    stream.ready()
    return stream


def test_events_become_rows_once_and_bad_records_are_set_aside(running: Stream) -> None:
    running.put_events(1, 2)
    running.put("user", b"no JSON", b"\xff\xfe", record("user", 3, age="old"), json.dumps({"ind": 3}).encode())
    running.put("user", record("user", 4)[:-1] + b', "more": 1}', record("user", 5).replace(b"5,", b"null,", 1))
    running.put("pin", b'"' + b"x" * (1024 * 1024 - 100) + b'"', key="7")
    running.wait()
    running.put_events(1, 2)
    running.put("geo", record("geo", 1, country="Tonga"), key="1")
    running.wait()
    assert {event.name: running.keys(event.name) for event in EVENTS} == {event.name: [1, 2] for event in EVENTS}
    reasons = [(event, reason[:40]) for event, reason, _ in running.quarantine()]
    assert reasons == [
        ("geo", "key conflict: another event has the key "),
        ("pin", "not an object"),
        ("user", "key missing: ind is null"),
        ("user", "missing column: first_name, last_name, a"),
        ("user", "not JSON"),
        ("user", "not text: raw is its base64"),
        ("user", "unknown column: more"),
        ("user", "wrong type: age is STRING, not integer"),
    ]
    assert ("user", "not text: raw is its base64", "//4=") in running.quarantine()
    row = inspect.stream_event_rows(running.settings, 1)["geo"][0][0]
    assert (row["country"], row["coordinates"]) == ("Niue", [1.5, 2.5])
    assert row["_shard"].startswith("shardId-")
    assert row["_sequence"].isdecimal()
    running.is_balanced()  # the text of a megabyte shows no key: the ledger knows it


def test_what_was_set_aside_is_sent_to_its_stream_again_once(running: Stream) -> None:
    before = running.quarantine()
    first = replay_stream(running.settings, tell=lambda _: None)
    running.wait()
    second = replay_stream(running.settings, tell=lambda _: None)
    assert (first.sent, first.came_back, first.unsendable) == (len(before), 0, [])
    assert (second.sent, second.sent_before, second.came_back) == (0, len(before), len(before)), (
        "all are as bad as before"
    )
    assert running.quarantine() == sorted(2 * before)


def test_a_kill_at_each_moment_in_turn_loses_and_doubles_nothing(stream: Stream, proxies: Proxies) -> None:
    """The job that it leaves is behind proxies, for the outages: a start takes half a minute."""
    stream.stop()
    before = len(stream.quarantine())
    for number, moment in enumerate(MOMENTS, 100):
        stream.put_events(number)
        stream.put("user", record("user", number, age=21), b"broken " + moment.encode(), key=str(number))
        stream.put("geo", record("geo", number), key=str(number))
        stream.start(pinline_fault=f"after:stream:{moment}")
        stream.wait_killed()
    stream.start(**proxies.settings)
    stream.wait()
    for event in EVENTS:
        keys = stream.keys(event.name)
        assert [key for key in keys if key >= 100] == list(range(100, 100 + len(MOMENTS)))
        assert len(set(keys)) == len(keys)
    assert len(stream.quarantine()) == before + 2 * len(MOMENTS)
    stream.is_balanced()


def test_live_events_count_each_event_once(running: Stream) -> None:
    def counted() -> int:
        rows = inspect.live_events(running.settings)
        return sum(row["events"] for row in rows)

    both = [ind for ind in running.keys("pin") if ind in running.keys("geo")]
    wait_until(lambda: counted() >= len(both), 90, "live events are counted")
    assert counted() == len(both)


def test_what_s3_has_forgotten_under_the_job_is_read_from_kinesis_again(running: Stream) -> None:
    """S3 is emptied, and the job's last writes come after that: the only entry of a log, data without its commit."""
    settings, quarantine = running.settings, running.quarantine()
    keys = {event.name: running.keys(event.name) for event in EVENTS}
    table = f"stream.{PIN.stream_table(settings.user_id)}"
    late = [late_commit(settings, table), f"{checkpoint.EVENTS}commits/{_names(running, 'commits/')[-1]}"]
    late += data_of(settings, f"stream.{GEO.stream_table(settings.user_id)}")
    forget(settings, "lake/", late)
    wait_until(lambda: "is dropped" in running.log.read_text(), 60, "the job notices")
    running.put_events(800)
    running.wait()
    running.ready()
    assert {event.name: running.keys(event.name) for event in EVENTS} == {name: [*keys[name], 800] for name in keys}
    assert running.quarantine() == quarantine
    assert [key.rpartition("/")[2] for key in left_of(settings, table)] == [late[0].rpartition("/")[2]]
    running.is_balanced()


def test_an_outage_is_told_and_what_was_accepted_meanwhile_is_taken_in_after_it(
    stream: Stream, proxies: Proxies
) -> None:
    """First S3, then Kinesis: each until the job has told of it, and at least a minute."""
    _is_behind(stream, proxies)
    _goes_away(stream, proxies.s3, 850, lambda: bool(stream.status()["failing"]))
    said_before = len(stream.log.read_text())
    # the source sits it out: the query goes on
    _goes_away(stream, proxies.kinesis, 860, lambda: "trying again" in stream.log.read_text()[said_before:])


def test_refused_credentials_are_told_and_once_they_are_accepted_the_job_goes_on(
    stream: Stream, proxies: Proxies, start_kinesis: StartKinesis
) -> None:
    """For a while another Kinesis answers, which knows another secret key."""
    _is_behind(stream, proxies)
    with start_kinesis(
        stream.settings.kafka_bootstrap_servers, "--no-limits", "--access-keys", "test:another"
    ) as guarded:
        refused = proxies.kinesis.rule(any_request, passes_to(guarded.url))
        stream.put_events(870)
        wait_until(lambda: "AWS_SECRET_ACCESS_KEY" in (stream.status()["problem"] or ""), 120, "the job names the keys")
        assert stream.status()["failing"]
        refused.end()
    stream.wait()
    stream.ready()
    for event in EVENTS:
        assert 870 in stream.keys(event.name)
    stream.is_balanced()


def _is_behind(stream: Stream, proxies: Proxies) -> None:
    if stream.ended or not stream.started_with.items() >= proxies.settings.items():
        stream.stop()
        stream.start(**proxies.settings)
    stream.ready()


def _goes_away(stream: Stream, proxy: FaultProxy, number: int, told: Callable[[], bool]) -> None:
    outage, ends = proxy.rule(any_request, cut), time.monotonic() + OUTAGE_SECONDS
    stream.put_events(number)
    wait_until(told, 120, "the job tells of the outage")
    stream.put_events(number + 1)
    wait_until(lambda: time.monotonic() > ends, OUTAGE_SECONDS + 1, "the outage was long enough")
    outage.end()
    stream.wait()
    stream.ready()
    for event in EVENTS:
        assert {number, number + 1} <= set(stream.keys(event.name))
    stream.is_balanced()


def test_a_stream_deleted_under_the_job_is_named_and_made_again_it_needs_a_reset(running: Stream) -> None:
    running.delete_stream("geo")
    wait_until(lambda: _names_the_stream(running, "make up"), 120, "the job says what makes the stream")
    running.make_stream("geo")
    wait_until(lambda: "make stream-reset" in (running.status()["problem"] or ""), 60, "the job says what to do")
    running.stop()
    assert reset.reset(running.settings)


def test_a_damaged_checkpoint_is_named_with_what_to_do_and_a_reset_loses_nothing_though_a_stream_is_not_there(
    running: Stream,
) -> None:
    running.put_events(899)
    running.wait()
    assert all(899 in running.keys(event.name) for event in EVENTS), "after the reset of the test before it goes on"
    before, settings = running.quarantine(), running.settings
    with pytest.raises(StateError, match="End it first"):
        reset.reset(settings)
    running.stop()
    s3 = aws.s3_client(settings)
    last = _names(running, "offsets/")[-1]
    s3.put_object(Bucket=settings.bucket, Key=f"{checkpoint.EVENTS}offsets/{last}", Body=b"v1\n{")
    running.put("pin", record("pin", 900), key="900")
    running.start()
    wait_until(lambda: "make stream-reset" in (running.status()["problem"] or ""), 120, "the job says what to do")
    running.stop()

    running.delete_stream("geo")
    assert reset.reset(settings)
    running.start()
    wait_until(lambda: _names_the_stream(running, "make up"), 120, "the job says what makes the stream")
    assert not running.status()["ready"]
    running.make_stream("geo")
    running.put_events(901)
    running.ready()
    running.wait()
    assert {900, 901} <= set(running.keys("pin"))
    assert 901 in running.keys("geo")
    assert running.quarantine() == before, "what is read again isn't set aside again"
    running.is_balanced()


def _names(stream: Stream, folder: str) -> list[str]:
    found = aws.s3_client(stream.settings).list_objects_v2(
        Bucket=stream.settings.bucket, Prefix=checkpoint.EVENTS + folder
    )
    names = [item["Key"].rpartition("/")[2] for item in found["Contents"]]
    return sorted((name for name in names if name.isdecimal()), key=int)


def _names_the_stream(stream: Stream, advice: str) -> bool:
    problem = stream.status()["problem"] or ""
    return GEO.stream(stream.settings.user_id) in problem and advice in problem
