"""The emulator's command, with a real database, gateway and Kafka."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from emulator.draws import RandomSequence
from emulator.position import Position
from pinline import ledger
from pinline.events import EVENTS
from pinline.mysql import admin_engine
from pinline.settings import ROOT, Settings
from seed_data import tables
from tests.fixtures.backends import unique_user_id, wait_until
from tests.fixtures.gateway import Gateway

pytestmark = pytest.mark.integration

EVENTS_IN_TABLE = 400
SCRIPT = ROOT / "emulator" / "user_posting_emulation.py"
WHEN = datetime(2022, 1, 1, 2, 26, 50)  # noqa: DTZ001  # the column has no zone


@pytest.fixture(scope="module")
def source(mysql_server: dict[str, Any]) -> dict[str, Any]:
    """Settings of a database with `EVENTS_IN_TABLE` events."""
    settings = Settings(_env_file=None, **mysql_server)  # type: ignore[call-arg]
    engine = admin_engine(settings)
    tables.METADATA.drop_all(engine)
    tables.METADATA.create_all(engine)
    filling = {"integer": 7, "number": 1.5, "string": 'Dessous 🙂 "quoted"', "timestamp": WHEN}
    with engine.begin() as connection:
        for event in EVENTS:
            row = {column.name: filling[column.json_type] for column in event.columns}
            rows = [{**row, event.key_column: key} for key in range(EVENTS_IN_TABLE)]
            if event.name == "pin":
                rows = [{**row, "unique_id": f"id-{row['index']}", "downloaded": 1} for row in rows]
            connection.execute(insert(tables.METADATA.tables[event.table]), rows)
    engine.dispose()
    return mysql_server


class Emulator:
    """The command with settings of its own."""

    def __init__(self, source: Mapping[str, Any], gateway: Gateway, folder: Path) -> None:
        self.user_id = unique_user_id()
        self.gateway = gateway
        self.folder = folder / "emulator"
        self._environment = {
            **os.environ,
            **{name.upper(): str(value) for name, value in source.items()},
            "PINLINE_ENV_FILE": str(folder / "no.env"),
            "PINLINE_DATA": str(folder),
            "USER_ID": self.user_id,
            "API_INVOKE_URL": gateway.stage,
        }

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, SCRIPT, *arguments],
            env={**self._environment, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        process = self.start(*arguments, **environment)
        said = process.communicate(timeout=120)[1]
        return process.returncode, said

    def make_topics(self) -> None:
        for event in EVENTS:
            self.gateway.make_topic(name=event.topic(self.user_id))

    def keys_in_kafka(self, event: str) -> list[int]:
        return [int(json.loads(key or b"")) for key, _ in self.gateway.read(f"{self.user_id}.{event}")]

    @property
    def acknowledged(self) -> int:
        return sum(1 for _ in ledger.read(self.folder / ledger.FILE_NAME))


@pytest.fixture
def emulator(source: dict[str, Any], gateway: Gateway, tmp_path: Path) -> Emulator:
    """An emulator with topics of its own."""
    made = Emulator(source, gateway, tmp_path)
    made.make_topics()
    return made


@contextmanager
def running(emulator: Emulator, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The command in the background, once it has acknowledgements; killed at the end if it isn't over."""
    process = emulator.start(*arguments)
    try:
        wait_until(lambda: emulator.acknowledged >= 30 or process.poll() is not None, 60, "30 acknowledged records")
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_whole_table_arrives_once_in_kafka_as_the_course_sends_it(emulator: Emulator) -> None:
    code, said = emulator.run("--order", "sequential")
    assert code == 0, said
    for event in EVENTS:
        assert sorted(emulator.keys_in_kafka(event.name)) == list(range(EVENTS_IN_TABLE))
    key, value = emulator.gateway.read(f"{emulator.user_id}.geo")[0]
    row = json.loads(value or b"")
    assert list(row) == ["ind", "timestamp", "latitude", "longitude", "country"]
    assert row["timestamp"] == "2022-01-01T02:26:50"
    assert str(row["ind"]) == json.loads(key or b"")
    assert emulator.acknowledged == 3 * EVENTS_IN_TABLE

    code, said = emulator.run("--order", "sequential")
    assert code == 0
    assert "all events were posted" in said
    assert len(emulator.keys_in_kafka("pin")) == EVENTS_IN_TABLE


def test_a_second_run_goes_on_with_the_draws_of_the_first(emulator: Emulator) -> None:
    for _ in range(2):
        code, said = emulator.run("--count", "25", "--concurrency", "1", "--seed", "9")
        assert code == 0, said
    drawn = [draw.index for draw in RandomSequence(9, EVENTS_IN_TABLE - 1).take(50)]
    assert emulator.keys_in_kafka("user") == drawn


@pytest.mark.parametrize("order", ["random", "sequential"])
def test_kill_9_and_restart_loses_no_event(emulator: Emulator, order: str) -> None:
    with running(emulator, "--order", order, "--rate", "200", "--concurrency", "4") as process:
        process.kill()
        process.wait()
    (state,) = (emulator.folder / "position").glob("*[!d].json")
    done = Position(state.parent, state.stem).next
    code, said = emulator.run("--order", order, "--count", str(EVENTS_IN_TABLE - done), "--concurrency", "4")
    assert code == 0, said
    drawn = [draw.index for draw in RandomSequence(100, EVENTS_IN_TABLE - 1).take(EVENTS_IN_TABLE)]
    wanted = drawn if order == "random" else list(range(EVENTS_IN_TABLE))
    for event in EVENTS:
        found = emulator.keys_in_kafka(event.name)
        assert set(wanted) <= set(found)
        assert len(found) <= len(wanted) + 2 * 4


def test_ctrl_c_ends_after_what_is_in_flight(emulator: Emulator) -> None:
    with running(emulator, "--rate", "100") as process:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    counts = {len(emulator.keys_in_kafka(event.name)) for event in EVENTS}
    assert len(counts) == 1
    assert emulator.acknowledged == 3 * counts.pop()


def test_a_second_emulator_names_the_first(emulator: Emulator) -> None:
    with running(emulator, "--rate", "20") as process:
        code, said = emulator.run("--count", "1")
        assert code == 1
        assert f"process {process.pid}" in said


def test_a_missing_topic_is_named_and_nothing_is_lost(source: dict[str, Any], gateway: Gateway, tmp_path: Path) -> None:
    emulator = Emulator(source, gateway, tmp_path)
    code, said = emulator.run("--order", "sequential", "--count", "5")
    assert code == 1
    assert f"{gateway.stage}/topics/{emulator.user_id}.pin" in said
    assert "make up" in said
    emulator.make_topics()
    code, said = emulator.run("--order", "sequential", "--count", "5")
    assert code == 0, said
    assert sorted(emulator.keys_in_kafka("pin")) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"API_INVOKE_URL": "http://127.0.0.1:9/dev"}, "API_INVOKE_URL"),
        ({"RDS_PORT": "9"}, "RDS_PORT"),
        ({"RDS_PASSWORD": "wrong"}, "RDS_PASSWORD"),
    ],
)
def test_what_does_not_answer_is_named_by_its_setting(
    emulator: Emulator, environment: dict[str, str], named: str
) -> None:
    code, said = emulator.run("--count", "1", **environment)
    assert code in (1, 2)
    assert named in said
    assert "Traceback" not in said


def test_a_wrong_stage_is_refused(emulator: Emulator) -> None:
    code, said = emulator.run("--count", "1", API_INVOKE_URL=emulator.gateway.root + "/nostage")
    assert code == 1
    assert "stage" in said


def test_an_empty_table_says_how_to_fill_it(emulator: Emulator, source: dict[str, Any]) -> None:
    engine = admin_engine(Settings(_env_file=None, **source))  # type: ignore[call-arg]
    aside = ", ".join(f"{event.table} TO {event.table}_aside" for event in EVENTS)
    back = ", ".join(f"{event.table}_aside TO {event.table}" for event in EVENTS)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"RENAME TABLE {aside}")
    try:
        tables.METADATA.create_all(engine)
        code, said = emulator.run("--count", "1")
    finally:
        tables.METADATA.drop_all(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"RENAME TABLE {back}")
        engine.dispose()
    assert code == 1
    assert "make seed" in said
