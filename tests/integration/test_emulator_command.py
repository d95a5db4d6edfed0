"""The emulator's command, with a real database, gateway and Kafka."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from emulator.draws import RandomSequence
from pinline.events import EVENTS
from pinline.mysql import admin_engine
from pinline.settings import Settings
from seed_data import tables
from tests.fixtures.emulator import EVENTS_IN_TABLE, Emulator, emulating
from tests.fixtures.gateway import Gateway

pytestmark = pytest.mark.integration


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


def test_ctrl_c_ends_after_what_is_in_flight(emulator: Emulator) -> None:
    with emulating(emulator, "--rate", "100") as process:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    counts = {len(emulator.keys_in_kafka(event.name)) for event in EVENTS}
    assert len(counts) == 1
    assert emulator.acknowledged == 3 * counts.pop()


def test_a_second_emulator_names_the_first(emulator: Emulator) -> None:
    with emulating(emulator, "--rate", "20") as process:
        code, said = emulator.run("--count", "1")
        assert code == 1
        assert f"process {process.pid}" in said


def test_a_missing_topic_is_named_and_nothing_is_lost(
    source_tables: dict[str, Any], gateway: Gateway, tmp_path: Path
) -> None:
    emulator = Emulator(source_tables, gateway, tmp_path)
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


def test_an_empty_table_says_how_to_fill_it(emulator: Emulator, source_tables: dict[str, Any]) -> None:
    engine = admin_engine(Settings(_env_file=None, **source_tables))  # type: ignore[call-arg]
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
