"""The emulator's command while the gateway, the network or the emulator itself fails, with a real database and Kafka.

A proxy between emulator and gateway chooses the moment. Each test ends with: every event is acknowledged and in Kafka,
or in the spool; at most what was in flight is there twice; the position is where the run was. The same by the step, in
one process: tests/unit/test_emulator_delivery.py.
"""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from emulator.draws import RandomSequence
from pinline import ledger
from pinline.events import EVENTS
from tests.faults.proxy import Answer, Exchange, Fault, FaultProxy, Hold, Request, cut_within_answer, post_of, replies
from tests.fixtures.backends import wait_until
from tests.fixtures.emulator import EVENTS_IN_TABLE, Emulator
from tests.fixtures.gateway import Gateway, serving

pytestmark = [pytest.mark.faults, pytest.mark.integration]

COUNT = 120
CONCURRENCY = 4


@pytest.fixture
def between(emulator: Emulator, gateway: Gateway) -> Iterator[FaultProxy]:
    """A proxy that the emulator takes for the API."""
    with FaultProxy(gateway.root) as proxy:
        yield proxy


def _some_records_fail(exchange: Exchange) -> None:
    """Write every other record; for the others answer what Kafka's own time-out looks like, within a 200."""
    records = json.loads(exchange.request.body)["records"]
    failed = {"partition": None, "offset": None, "error_code": 50003, "error": "made by a test"}
    entries: list[Any] = [failed] * len(records)
    if written := records[::2]:
        entries[::2] = json.loads(exchange.forward(body=orjson.dumps({"records": written})).body)["offsets"]
    body = orjson.dumps({"offsets": entries, "key_schema_id": None, "value_schema_id": None})
    exchange.reply(Answer(200, {"Content-Type": "application/vnd.kafka.v2+json"}, body))


def _run(emulator: Emulator, api: str, *arguments: str) -> None:
    code, said = emulator.run("--order", "sequential", "--count", str(COUNT), *arguments, API_INVOKE_URL=f"{api}/dev")
    assert code == 0, said


def _check(emulator: Emulator, wanted: list[int], *, twice: int) -> None:
    """Every wanted index is in Kafka, with at most `twice` copies too many in all, and the ledger tells the truth."""
    copies = 0
    for event in EVENTS:
        stored = [
            (int(json.loads(key or b"")), n)
            for n, (key, _) in enumerate(emulator.gateway.read(event.topic(emulator.user_id)))
        ]
        surplus = Counter(key for key, _ in stored)
        surplus.subtract(wanted)
        assert min(surplus.values()) >= 0, f"{event.name}: lost {[key for key, count in surplus.items() if count < 0]}"
        copies += surplus.total()
        told = {(int(entry.position), int(entry.key)) for entry in _ledger(emulator) if entry.event == event.name}
        assert told <= {(offset, key) for key, offset in stored}, "acknowledged means in Kafka"
        assert {key for _, key in told} >= set(wanted)
    assert copies <= twice
    assert _spooled(emulator) == 0


def _ledger(emulator: Emulator) -> list[ledger.Acknowledgement]:
    return list(ledger.read(emulator.folder / ledger.FILE_NAME))


def _spooled(emulator: Emulator) -> int:
    lines = [
        orjson.loads(line) for path in (emulator.folder / "spool").iterdir() for line in path.read_bytes().splitlines()
    ]
    return len({line["id"] for line in lines} - {line["id"] for line in lines if line.get("sent")})


@pytest.mark.parametrize(
    ("fault", "batch", "twice"),
    [
        pytest.param(
            replies(429, b'{"message":"Too Many Requests"}', Retry_After="1"), 1, 0, id="429 with Retry-After"
        ),
        pytest.param(replies(503, b'{"error_code":50302,"message":"Kafka"}'), 1, 0, id="503"),
        pytest.param(_some_records_fail, 10, 0, id="record errors within a 200"),
        pytest.param(cut_within_answer, 10, 3 * 10, id="connection cut within an answer"),
    ],
)
def test_a_fault_of_the_api_that_passes_loses_nothing(
    emulator: Emulator, between: FaultProxy, fault: Fault, batch: int, twice: int
) -> None:
    rule = between.rule(post_of("/topics/"), fault, times=3)
    _run(emulator, between.url, "--concurrency", str(CONCURRENCY), "--batch-size", str(batch))
    assert rule.hits == 3
    _check(emulator, list(range(COUNT)), twice=twice)


def test_a_gateway_that_is_killed_and_comes_back_gets_every_event(
    emulator: Emulator, kafka_broker: str, tmp_path: Path
) -> None:
    with serving(kafka_broker, tmp_path) as first, FaultProxy(first.root) as proxy:
        due = Hold()
        proxy.rule(lambda request: post_of("/topics/")(request) and len(proxy.answers) >= 60, due, times=1)
        arguments = ("--order", "sequential", "--count", str(COUNT), "--concurrency", str(CONCURRENCY))
        process = emulator.start(*arguments, API_INVOKE_URL=f"{proxy.url}/dev")
        try:
            assert due.reached.wait(60)
            first.process.kill()
            due.release.set()
            wait_until(lambda: proxy.unreachable >= 3 * CONCURRENCY, 60, "the emulator tries again and again")
            with serving(kafka_broker, tmp_path, API_INVOKE_URL=first.stage):
                said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 0, said
    _check(emulator, list(range(COUNT)), twice=3 * CONCURRENCY)


def test_what_a_dead_gateway_did_not_take_is_spooled_at_the_end_and_sent_first_next_time(
    emulator: Emulator, between: FaultProxy, gateway: Gateway
) -> None:
    away = between.rule(lambda request: post_of("/topics/")(request) and len(between.answers) >= 60, replies(503))
    process = emulator.start(
        "--order", "sequential", "--concurrency", str(CONCURRENCY), API_INVOKE_URL=f"{between.url}/dev"
    )
    try:
        wait_until(lambda: away.hits >= 3 * CONCURRENCY, 60, "the emulator tries again and again")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 3, said
    spooled = _spooled(emulator)
    assert 1 <= spooled <= 3 * CONCURRENCY
    away.end()
    done = len(between.answers)
    code, said = emulator.run("--order", "sequential", "--concurrency", "1", API_INVOKE_URL=f"{between.url}/dev")
    assert code == 0, said
    first = [int(json.loads(_only_key(request))) for request, _ in between.answers[done + 1 : done + 1 + spooled]]
    assert max(first) < 60, "the spool goes first"
    _check(emulator, list(range(EVENTS_IN_TABLE)), twice=0)


def _only_key(request: Request) -> bytes:
    return orjson.dumps(int(json.loads(request.body)["records"][0]["key"]))


@pytest.mark.parametrize("order", ["random", "sequential"])
def test_killed_before_an_answer_arrives_the_next_run_repeats_at_most_what_was_in_flight(
    emulator: Emulator, between: FaultProxy, order: str
) -> None:
    kills = 2
    for kill in range(kills):
        held = Hold()
        due = len(between.answers) + 150
        between.rule(
            lambda request, due=due: post_of("/topics/")(request) and len(between.answers) >= due, held, times=1
        )  # type: ignore[misc]
        process = emulator.start(
            "--order", order, "--rate", "1000", "--concurrency", str(CONCURRENCY), API_INVOKE_URL=f"{between.url}/dev"
        )
        reached = held.reached.wait(120)
        process.kill()
        said = process.communicate()[1]
        assert reached, f"kill {kill}: {said}"
        held.release.set()
    posted = sum(1 for request, _ in between.answers if request.method == "POST") // len(EVENTS)
    assert posted < EVENTS_IN_TABLE
    _finish(emulator, order, between.url)
    drawn = [draw.index for draw in RandomSequence(100, EVENTS_IN_TABLE - 1).take(EVENTS_IN_TABLE)]
    _check(emulator, drawn if order == "random" else list(range(EVENTS_IN_TABLE)), twice=kills * 3 * CONCURRENCY)


def _finish(emulator: Emulator, order: str, api: str) -> None:
    """Post until `EVENTS_IN_TABLE` events of the sequence are done."""
    (state,) = (emulator.folder / "position").glob("*[!d].json")
    found = orjson.loads(state.read_bytes())
    left = EVENTS_IN_TABLE - found["next"] - len(found["done"])
    code, said = emulator.run("--order", order, "--count", str(left), "--concurrency", "4", API_INVOKE_URL=f"{api}/dev")
    assert code == 0, said
    assert orjson.loads(state.read_bytes())["next"] == EVENTS_IN_TABLE, "no position is lost"
