"""The embedded stack, steered as a user steers it: services that are not ours, on free ports, in a temporary folder."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

from native import leftovers, supervise
from pinline.aws import s3_client
from pinline.events import PIN
from pinline.kafka import kafka_python_config
from pinline.mysql import admin_engine
from tests.fixtures.backends import Stack, embedded_stack, wait_until

pytestmark = pytest.mark.integration

BACKENDS = ("s3", "kafka", "mysql")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with embedded_stack(tmp_path_factory.mktemp("stack"), *BACKENDS, kafka_partitions=3) as running:
        yield running


def test_status_tells_state_address_pid_memory_and_since(stack: Stack) -> None:
    done = stack.run("-m", "native", "status", "--format", "json", check=False)
    found = {line["service"]: line for line in json.loads(done.stdout)}
    assert {name: found[name]["state"] for name in BACKENDS} == dict.fromkeys(BACKENDS, "ready")
    assert found["gateway"]["state"] == "stopped"
    assert found["kafka"]["address"] == stack.settings.kafka_bootstrap_servers
    assert all(found[name]["memory_bytes"] > 10_000_000 and found[name]["since"] for name in BACKENDS)
    assert done.returncode == 1, "not everything is ready"


def test_bucket_topics_and_rows_are_there_after_the_first_start(stack: Stack) -> None:
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(**kafka_python_config(stack.settings))
    try:
        found = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    finally:
        admin.close()
    user = stack.settings.user_id
    assert found == {f"{user}.pin": 3, f"{user}.geo": 3, f"{user}.user": 3, f"dlq.{user}": 1}
    s3_client(stack.settings).head_bucket(Bucket=stack.settings.bucket)
    assert _rows(stack) > 0


@pytest.mark.faults
@pytest.mark.parametrize("service", BACKENDS)
def test_a_killed_service_is_restarted_and_answers(stack: Stack, service: str) -> None:
    killed = stack.kill(service)
    assert stack.wait_ready(service, after=killed, seconds=60) != killed


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    before = [stack.pid(name) for name in BACKENDS]
    stack.up(*BACKENDS)
    assert [stack.pid(name) for name in BACKENDS] == before


def test_a_changed_password_holds_after_the_next_up(stack: Stack) -> None:
    file = Path(stack.env["PINLINE_ENV_FILE"])
    old = file.read_text()
    file.write_text(old.replace("RDS_PASSWORD=", "RDS_PASSWORD=x'\\x"))
    stack.up(*BACKENDS)
    try:
        status = stack.run("-m", "native", "status", "--format", "json", check=False).stdout
        assert next(line["state"] for line in json.loads(status) if line["service"] == "mysql") == "ready"
    finally:
        file.write_text(old)
        stack.up(*BACKENDS)


def test_a_taken_port_is_named_with_its_setting_and_its_owner(stack: Stack, make_stack: Callable[..., Stack]) -> None:
    other = make_stack(rds_port=stack.settings.rds_port)
    done = other.run("-m", "native", "up", "--only", "mysql", check=False)
    assert done.returncode == 1
    assert f"port {stack.settings.rds_port} (RDS_PORT)" in done.stderr
    assert "mariadbd" in done.stderr or "mysqld" in done.stderr


def test_a_second_stack_runs_beside_the_first(stack: Stack, make_stack: Callable[..., Stack]) -> None:
    other = make_stack()
    other.up("s3")
    assert other.settings.bucket != stack.settings.bucket
    buckets = [bucket["Name"] for bucket in s3_client(other.settings).list_buckets()["Buckets"]]
    assert buckets == [other.settings.bucket]
    other.down()
    assert other.processes() == []
    assert stack.pid("s3")


def test_down_leaves_no_process_and_up_finds_the_data_again(stack: Stack) -> None:
    topic = PIN.topic(stack.settings.user_id)
    producer = KafkaProducer(**kafka_python_config(stack.settings), acks="all")
    written = producer.send(topic, b"{}").get(20).offset
    producer.close()
    client = s3_client(stack.settings)
    client.put_object(Bucket=stack.settings.bucket, Key="kept", Body=b"1")
    rows = _rows(stack)

    stack.down()
    assert stack.processes() == []
    stack.up(*BACKENDS)

    assert client.get_object(Bucket=stack.settings.bucket, Key="kept")["Body"].read() == b"1"
    assert _rows(stack) == rows
    producer = KafkaProducer(**kafka_python_config(stack.settings), acks="all")
    assert producer.send(topic, b"{}", partition=0).get(20).offset >= 0
    producer.close()
    assert written >= 0


@pytest.mark.faults
def test_up_ends_what_a_killed_supervisor_left_behind(stack: Stack) -> None:
    left = {process.pid for process in leftovers.find(stack.settings)}
    os.kill(supervise.Supervisor(stack.settings).pid(), signal.SIGKILL)
    wait_until(lambda: supervise.connect(stack.settings) is None, 10, "the supervisor is gone")
    stack.up(*BACKENDS)
    assert not left & {process.pid for process in leftovers.find(stack.settings)}


def test_reset_empties_the_data_only_when_told(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    stack.up("s3")
    refused = stack.run("-m", "native", "reset", check=False)
    assert refused.returncode == 1
    assert "YES=1" in refused.stderr
    stack.env["YES"] = "1"
    stack.run("-m", "native", "reset")
    assert stack.processes() == []
    assert list(stack.settings.pinline_data.iterdir()) == []


def _rows(stack: Stack) -> int:
    engine = admin_engine(stack.settings)
    try:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {PIN.table}").scalar_one())
    finally:
        engine.dispose()
