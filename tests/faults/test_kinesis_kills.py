"""The Kinesis service is killed, Kafka is killed, an instance is frozen: what was acknowledged is read exactly once."""

import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from pinline.settings import Settings
from tests.fixtures.backends import free_port, running, wait_until
from tests.fixtures.http import HTTP, status_of
from tests.fixtures.kinesis import FAST, StartKinesis, unique_stream, wait_active
from tests.fixtures.kinesis_traffic import Reader, Writer, require_exactly_once

pytestmark = pytest.mark.faults

ARGUMENTS = ("--no-limits", *FAST)


def test_killed_at_random_moments_it_loses_and_doubles_nothing(kafka_broker: str, start_kinesis: StartKinesis) -> None:
    chance = random.Random(4)
    port = free_port()
    with start_kinesis(kafka_broker, *ARGUMENTS, port=port) as first:
        stream = unique_stream(1, first.client())
        writers = [Writer(first.url, stream, f"w{i}") for i in range(4)]
        reader = Reader(first.url, stream)
        for thread in (*writers, reader):
            thread.start()
        writers[0].wait_for_more(20)
        split = {"StreamName": stream, "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": str(2**127)}
        first.client().split_shard(**split)
        # in the middle of the split: whoever comes next finishes it
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    for _ in range(4):
        with start_kinesis(kafka_broker, *ARGUMENTS, port=port) as again:
            writers[0].wait_for_more(chance.randrange(1, 60))
            again.process.send_signal(signal.SIGKILL)
            again.process.wait()
    with start_kinesis(kafka_broker, *ARGUMENTS, port=port) as last:
        wait_active(last.client(), stream)
        writers[0].wait_for_more(20)
        for writer in writers:
            writer.end()
        reader.end_after(writers)
    assert len(reader.parents) == 2
    require_exactly_once(writers, reader)


def test_kafka_goes_down_and_comes_back(tmp_path: Path, start_kinesis: StartKinesis) -> None:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        pinline_data=tmp_path / "kafka",
        kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
        kafka_controller_port=free_port(),
    )
    settings.pinline_data.mkdir()
    with running("kafka", settings) as kafka, start_kinesis(settings.kafka_bootstrap_servers, *ARGUMENTS) as kinesis:
        client = kinesis.client()
        stream = unique_stream(1, client)
        writers = [Writer(kinesis.url, stream, f"w{i}") for i in range(3)]
        reader = Reader(kinesis.url, stream)
        for thread in (*writers, reader):
            thread.start()
        writers[0].wait_for_more(50)
        kafka.kill()
        kafka.wait()
        wait_until(lambda: HTTP.get(f"{kinesis.url}/readyz", timeout=10).status_code == 503, 30, "unready")
        assert HTTP.get(f"{kinesis.url}/healthz").status_code == 200
        with pytest.raises(ClientError) as raised:
            client.describe_stream_summary(StreamName=stream)
        assert raised.value.response["Error"]["Code"] == "InternalFailure"
        wait_until(lambda: sum(writers[0].errors.values()) > 0, 30, "a put that could not be acknowledged says so")
        with running("kafka", settings):
            wait_until(lambda: HTTP.get(f"{kinesis.url}/readyz", timeout=10).status_code == 200, 60, "ready again")
            writers[0].wait_for_more(50)
            for writer in writers:
                writer.end()
            reader.end_after(writers)
            require_exactly_once(writers, reader)


def test_two_instances_and_one_of_them_frozen_while_shards_close(
    kafka_broker: str, start_kinesis: StartKinesis
) -> None:
    with start_kinesis(kafka_broker, *ARGUMENTS) as one, start_kinesis(kafka_broker, *ARGUMENTS) as two:
        client = one.client()
        stream = unique_stream(1, client)
        writers = [Writer(url, stream, f"w{i}") for i, url in enumerate([one.url, one.url, two.url, two.url, two.url])]
        reader = Reader(one.url, stream)
        for thread in (*writers, reader):
            thread.start()
        writers[2].wait_for_more(20)
        for number, (change, values) in enumerate(
            [
                ("split_shard", {"ShardToSplit": "shardId-000000000000", "NewStartingHashKey": str(2**127)}),
                ("update_shard_count", {"TargetShardCount": 3, "ScalingType": "UNIFORM_SCALING"}),
                ("update_shard_count", {"TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING"}),
            ]
        ):
            # frozen with records under way, it learns of the closed shards only afterwards
            two.process.send_signal(signal.SIGSTOP)
            getattr(client, change)(StreamName=stream, **values)
            if number == 1:
                wait_active(client, stream)
            two.process.send_signal(signal.SIGCONT)
            wait_active(two.client(), stream)
            for writer in (writers[0], writers[2]):
                writer.wait_for_more(10)
        for writer in writers:
            writer.end()
        reader.end_after(writers)
    require_exactly_once(writers, reader)
    assert len(reader.parents) >= 6


def test_two_instances_change_one_stream_at_once_and_no_change_is_lost(
    kafka_broker: str, start_kinesis: StartKinesis
) -> None:
    with start_kinesis(kafka_broker, *ARGUMENTS) as one, start_kinesis(kafka_broker, *ARGUMENTS) as two:
        clients = [one.client(), two.client()]
        stream = unique_stream(1, clients[0])

        def tag(number: int) -> None:
            clients[number % 2].add_tags_to_stream(StreamName=stream, Tags={f"k{number}": "v"})

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(tag, range(40)))
        for client in clients:
            assert len(client.list_tags_for_stream(StreamName=stream)["Tags"]) == 40
        names = [f"{stream}-{i}" for i in range(6)]

        def create(number: int) -> str:
            try:
                clients[number % 2].create_stream(StreamName=names[number // 2], ShardCount=1)
            except ClientError as error:
                return str(error.response["Error"]["Code"])
            return "created"

        with ThreadPoolExecutor(12) as threads:
            answers = list(threads.map(create, range(12)))
        assert sorted(answers) == ["ResourceInUseException"] * 6 + ["created"] * 6
        for name in names:
            wait_active(clients[0], name)
            clients[1].put_record(StreamName=name, Data=b"x", PartitionKey="a")


def test_it_starts_before_kafka_and_says_that_it_is_not_ready() -> None:
    port = free_port()
    command = [sys.executable, "-m", "kinesis", "--bootstrap-servers", f"127.0.0.1:{free_port()}", "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: status_of(f"http://127.0.0.1:{port}/healthz") == 200, 20, "the process answers")
        answer = HTTP.get(f"http://127.0.0.1:{port}/readyz", timeout=10)
        assert (answer.status_code, answer.json()["status"]) == (503, "unready")
    finally:
        process.terminate()
        assert process.wait(30) == 0
