"""The streaming emulation's command, with a real database, gateway, Kafka and Kinesis."""

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pinline import ledger
from pinline.events import EVENTS, streams
from pinline.init import ensure_streams
from tests.fixtures.backends import MakeSettings, free_port, wait_until
from tests.fixtures.emulator import EVENTS_IN_TABLE, STREAMING_SCRIPT, Emulator
from tests.fixtures.gateway import Gateway, StartGateway, before_kinesis
from tests.fixtures.kinesis import Kinesis, StartKinesis, read_lineage

pytestmark = pytest.mark.integration

COUNT = 150


@pytest.fixture
def streaming(
    source_tables: dict[str, Any],
    stream_gateway: Gateway,
    kinesis: Kinesis,
    make_settings: MakeSettings,
    tmp_path: Path,
) -> Emulator:
    """An emulator with streams and topics of its own."""
    made = Emulator(source_tables, stream_gateway, tmp_path, script=STREAMING_SCRIPT)
    made.make_topics()
    ensure_streams(make_settings(user_id=made.user_id, aws_endpoint_url_kinesis=kinesis.url, kinesis_shards=2))
    return made


def in_streams(emulator: Emulator, kinesis: Kinesis) -> dict[str, Counter[int]]:
    """The keys of each event's stream, and how often each is there."""
    found = {}
    for stream, event in streams(emulator.user_id).items():
        records = [record for shard in read_lineage(kinesis.client(), stream).values() for record in shard]
        for record in records:
            assert str(json.loads(record["Data"])[event.key_column]) == record["PartitionKey"]
        found[event.name] = Counter(int(record["PartitionKey"]) for record in records)
    return found


@pytest.mark.parametrize("batch_size", ["1", "50"])
def test_the_whole_table_arrives_once_in_the_streams(streaming: Emulator, kinesis: Kinesis, batch_size: str) -> None:
    code, said = streaming.run("--order", "sequential", "--batch-size", batch_size)
    assert code == 0, said
    everything = Counter(range(EVENTS_IN_TABLE))
    assert in_streams(streaming, kinesis) == {event.name: everything for event in EVENTS}
    told = list(ledger.read(streaming.folder / ledger.FILE_NAME))
    assert {entry.destination for entry in told} == {"kinesis"}
    assert len({(entry.event, entry.partition, entry.position) for entry in told}) == len(told) == 3 * EVENTS_IN_TABLE


def test_both_posts_each_event_to_both_sides(streaming: Emulator, kinesis: Kinesis) -> None:
    code, said = streaming.run("--mode", "both", "--count", str(COUNT), "--seed", "5")
    assert code == 0, said
    found = in_streams(streaming, kinesis)
    for event in EVENTS:
        assert found[event.name] == Counter(streaming.keys_in_kafka(event.name))
        assert found[event.name].total() == COUNT
    sides = Counter(entry.destination for entry in ledger.read(streaming.folder / ledger.FILE_NAME))
    assert sides == {"kafka": 3 * COUNT, "kinesis": 3 * COUNT}


def test_killed_and_started_again_every_event_is_in_the_streams(streaming: Emulator, kinesis: Kinesis) -> None:
    concurrency = 4
    process = streaming.start("--order", "sequential", "--concurrency", str(concurrency), "--rate", "300")
    try:
        wait_until(lambda: streaming.acknowledged >= 60, 60, "60 acknowledged records")
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    code, said = streaming.run("--order", "sequential")
    assert code == 0, said
    for found in in_streams(streaming, kinesis).values():
        assert set(found) == set(range(EVENTS_IN_TABLE))
        assert found.total() <= EVENTS_IN_TABLE + concurrency


def test_what_kinesis_does_not_take_waits_in_the_spool(
    streaming: Emulator, kinesis: Kinesis, start_gateway: StartGateway
) -> None:
    """The probe is answered; then Kinesis is away for longer than the emulator's patience."""
    with start_gateway(kinesis.kafka, **before_kinesis(f"http://127.0.0.1:{free_port()}")) as cut_off:
        code, said = streaming.run(
            "--count", "20", "--seed", "3", "--give-up-after", "0.5", API_INVOKE_URL=cut_off.stage
        )
    assert code in (1, 3), said
    assert streaming.acknowledged == 0
    code, said = streaming.run("--count", "20", "--seed", "3")
    assert code == 0, said
    assert streaming.acknowledged >= 60
    assert all(found.total() >= 20 for found in in_streams(streaming, kinesis).values())


def test_kinesis_killed_and_back_loses_nothing(
    streaming: Emulator, kinesis: Kinesis, start_kinesis: StartKinesis, start_gateway: StartGateway
) -> None:
    port = free_port()
    with start_gateway(kinesis.kafka, **before_kinesis(f"http://127.0.0.1:{port}")) as own:
        arguments = ("--no-limits", "--state-delay", "0.05", "--close-grace", "0.15")
        with start_kinesis(kinesis.kafka, *arguments, port=port) as first:
            process = streaming.start("--order", "sequential", "--rate", "300", API_INVOKE_URL=own.stage)
            wait_until(lambda: streaming.acknowledged >= 60, 60, "60 acknowledged records")
            first.process.kill()
            first.process.wait(10)
        with start_kinesis(kinesis.kafka, *arguments, port=port):
            said = process.communicate(timeout=100)[1]
    assert process.returncode == 0, said
    for found in in_streams(streaming, kinesis).values():
        assert set(found) == set(range(EVENTS_IN_TABLE))


def test_a_missing_stream_is_named_with_what_to_do(
    source_tables: dict[str, Any], stream_gateway: Gateway, tmp_path: Path
) -> None:
    code, said = Emulator(source_tables, stream_gateway, tmp_path, script=STREAMING_SCRIPT).run("--count", "1")
    assert code == 1
    assert "streaming-" in said
    assert "make up" in said


def test_more_records_than_a_put_records_takes_are_refused_at_once(streaming: Emulator) -> None:
    code, said = streaming.run("--batch-size", "501")
    assert code == 2
    assert "500" in said
