"""The sink, its S3 and its second owner fail at chosen moments. Each test ends with accounting.

The random interleavings of two owners against a model in memory are tests/unit/test_sink_partition.py's.
"""

import random
import signal

import pytest

from pinline.aws import s3_client
from pinline.events import PIN
from pinline.objects import ObjectRange, object_key
from sink.partition import Rules, State
from sink.rotation import Limits
from sink.store import S3Store
from tests.faults.proxy import (
    Exchange,
    Fault,
    FaultProxy,
    Hold,
    any_request,
    cut,
    put_of,
    replies,
    swallow_answer,
    without_header,
)
from tests.fixtures.backends import MakeSettings, free_port, wait_until
from tests.fixtures.sink import PROPERTIES, Stage, posts
from tests.unit.sink_model import Owner, World
from tests.unit.sink_model import posts as model_posts

pytestmark = [pytest.mark.faults, pytest.mark.integration]


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>made by a test</Message></Error>".encode()


def _rotations(stage: Stage) -> int:
    return stage.log.read_text().count("rotated")


def test_killed_between_put_and_the_next_step_the_sink_writes_the_object_once(stage: Stage, s3_endpoint: str) -> None:
    flush, topic = 20, stage.topic("pin", 1)
    stage.send(topic, posts(0, 100))
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=flush))
    with FaultProxy(s3_endpoint) as s3:
        stage.endpoint = s3.url
        third = object_key(topic, 0, 2 * flush)
        held = Hold()
        s3.rule(put_of(third), held, times=1)
        process = stage.start(config)
        assert held.reached.wait(60), stage.tail()
        process.kill()
        process.wait(10)
        held.release.set()
        assert third in stage.object_keys(), "the store had the object, the sink never heard of it"
        with stage.sink(config):
            stage.wait_balanced()
        assert [status for request, status in s3.answers if put_of(third)(request)] == [200]
    assert stage.numbers(topic) == list(range(100))


def test_killed_at_any_moment_and_started_again_each_offset_is_written_once(stage: Stage) -> None:
    topic, count = stage.topic("pin", 3), 6000
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=100))
    stage.send(topic, posts(0, count), 3)
    for part in (500, 3000):
        process = stage.start(config)
        stage.wait_for(topic, part)
        process.kill()
        process.wait(10)
    with stage.sink(config):
        stage.wait_balanced(seconds=90)
    assert stage.numbers(topic) == list(range(count))


def test_an_owner_that_lost_its_partition_in_its_sleep_writes_over_nothing(stage: Stage, s3_endpoint: str) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 50))
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=20))
    with FaultProxy(s3_endpoint) as s3:
        held = Hold(before=True)
        s3.rule(put_of(object_key(topic, 0, 20)), held, times=1)
        sleeper = stage.start(config, AWS_ENDPOINT_URL_S3=s3.url, SINK_METRICS_PORT=str(free_port()))
        try:
            assert held.reached.wait(60), stage.tail()
            sleeper.send_signal(signal.SIGSTOP)  # with 20..39 on their way and 40..49 in its buffer
            other = stage.configure(PROPERTIES.format(user=stage.user, flush=7))
            with stage.sink(other):
                stage.wait_balanced()
                held.release.set()
                wait_until(lambda: held.status != 0, 30, "the late PUT is answered")
                assert held.status == 412
                sleeper.send_signal(signal.SIGCONT)
                stage.send(topic, posts(50, 90))
                stage.wait_balanced()
        finally:
            sleeper.send_signal(signal.SIGCONT)
            sleeper.terminate()
            sleeper.wait(30)
    assert stage.balance(PIN).balanced
    assert stage.numbers(topic) == list(range(90))


@pytest.mark.parametrize("seed", range(20))
def test_two_owners_with_overlapping_buffers_on_a_real_store_write_every_offset_once(
    make_settings: MakeSettings, s3_endpoint: str, seed: int
) -> None:
    settings = make_settings(aws_endpoint_url_s3=s3_endpoint)
    client = s3_client(settings, attempts=1)
    client.create_bucket(Bucket=settings.bucket)
    store = S3Store(client, settings.bucket)
    chance = random.Random(seed)
    world = World(model_posts(24))
    world.around = type(world.around)(store, world.letters, lambda _t, _p: 0, "topics")
    flush = [chance.randint(1, 9) for _ in range(2)]
    owners = [Owner(world, rules=Rules(Limits(n, 1 << 20, wall_clock_s=5.0))) for n in flush]
    for owner in owners:
        owner.act()
        owner.fetch(9)  # both hold the same records now
    for _ in range(50):
        owner = chance.choice(owners)
        chance.choice([owner.fetch, owner.begin, owner.begin, owner.end, owner.end])()
        world.now += chance.choice([0.1, 0.1, 0.1, 6])
    for owner in owners:
        owner.end()
        owner.settle()
    assert all(owner.writer.state is not State.STOPPED for owner in owners)
    keys, _ = store.list_after("topics/", "")
    ranges = [found for key in keys if (found := ObjectRange.from_metadata(store.head(key) or {}))]
    assert [n for r in ranges for n in range(r.first_offset, r.last_offset + 1)] == list(range(24))
    bodies = [client.get_object(Bucket=settings.bucket, Key=key)["Body"].read() for key in keys]
    assert [int(line) for body in bodies for line in body.split()] == list(range(24))


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        # by the eighth the pauses between attempts add up to more than the 10 s of a session
        pytest.param(cut, 8, id="no answer"),
        pytest.param(replies(503, _error("ServiceUnavailable")), 4, id="503"),
    ],
)
def test_s3_away_for_longer_than_a_session_costs_neither_a_record_nor_the_place_in_the_group(
    stage: Stage, s3_endpoint: str, fault: Fault, attempts: int
) -> None:
    topic = stage.topic("pin", 3)
    stage.send(topic, posts(0, 300), 3)
    with FaultProxy(s3_endpoint) as s3:
        stage.endpoint = s3.url
        with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=20))):
            wait_until(lambda: _rotations(stage) >= 3, 60, "three objects", log=stage.tail)
            away = s3.rule(any_request, fault)
            stage.send(topic, posts(300, 600), 3)
            wait_until(
                lambda: stage.failures() >= 3 * attempts, 120, f"{attempts} attempts a partition", log=stage.tail
            )
            assert stage.status()["ready"]
            away.end()
            stage.wait_balanced()
            assert '"revoked"' not in stage.log.read_text(), "it kept its place in the group"
    assert stage.numbers(topic) == list(range(600))


def test_a_409_is_tried_again_and_written_once(stage: Stage, s3_endpoint: str) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 60))
    with FaultProxy(s3_endpoint) as s3:
        stage.endpoint = s3.url
        conflict = s3.rule(put_of("/topics/"), replies(409, _error("ConditionalRequestConflict")), times=3)
        with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=20))):
            stage.wait_balanced()
    assert conflict.hits == 3
    assert stage.numbers(topic) == list(range(60))


def test_a_put_without_an_answer_that_succeeded_is_found_and_not_written_again(stage: Stage, s3_endpoint: str) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 100))
    with FaultProxy(s3_endpoint) as s3:
        stage.endpoint = s3.url
        s3.rule(put_of("/topics/"), swallow_answer, times=2)
        with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=20))):
            stage.wait_balanced()
        statuses = [status for request, status in s3.answers if put_of("/topics/")(request)]
    assert statuses.count(200) == 5, "five objects"
    assert statuses.count(412) >= 1, "the store said that it had them"
    assert stage.numbers(topic) == list(range(100))


def test_a_late_put_that_the_sink_has_given_up_does_not_double_its_object(stage: Stage, s3_endpoint: str) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 60))
    late: list[int] = []

    with FaultProxy(s3_endpoint) as s3:
        stage.endpoint = s3.url

        def answers_nothing_and_arrives_last(exchange: Exchange) -> None:
            exchange.cut()
            wait_until(lambda: len(stage.object_keys()) >= 2, 60, "the sink went on")
            late.append(exchange.forward().status)

        s3.rule(put_of(object_key(topic, 0, 0)), answers_nothing_and_arrives_last, times=1)
        with stage.sink(stage.configure(PROPERTIES.format(user=stage.user, flush=20))):
            wait_until(lambda: bool(late), 60, "the late PUT arrived", log=stage.tail)
            stage.wait_balanced()
    assert late == [412]
    assert stage.numbers(topic) == list(range(60))


def test_a_store_that_ignores_if_none_match_is_refused_before_anything_is_written(
    stage: Stage, s3_endpoint: str
) -> None:
    topic = stage.topic("pin", 1)
    stage.send(topic, posts(0, 20))
    config = stage.configure(PROPERTIES.format(user=stage.user, flush=5))
    with FaultProxy(s3_endpoint) as s3:
        stage.endpoint = s3.url
        s3.rule(any_request, without_header("If-None-Match"))
        assert stage.start(config).wait(60) != 0
    assert "conditional" in stage.tail()
    assert stage.object_keys() == []
    stage.endpoint = s3_endpoint
    with stage.sink(config):
        stage.wait_balanced()
    assert stage.numbers(topic) == list(range(20))
