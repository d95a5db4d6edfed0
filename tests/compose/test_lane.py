"""The whole pipeline in containers, by the commands that a user types; then each container is restarted under load."""

import json
import signal

import pytest

from tests.compose.stack import ContainerStack
from tests.faults.load import BATCH, EMULATE, Command, accounting, acknowledged, command, spooled
from tests.fixtures.backends import wait_until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2400)]

_FORWARDED = ("api", "gateway", "sink", "kafka", "kinesis", "mysql", "s3", "stream")
"""What an event passes through; each is restarted while events come."""
_ORCHESTRATING = (
    "spark",
    "workspace",
    "postgres",
    "airflow-api",
    "airflow-scheduler",
    "airflow-dags",
    "airflow-triggerer",
)


def emulate(stack: ContainerStack, count: int) -> None:
    """Post events both ways, in table order from where the last run ended."""
    stack.run(*EMULATE, "--mode", "both", "--order", "sequential", "--count", str(count))


def test_events_posted_both_ways_are_in_s3_and_delta_and_the_dag_is_green(stack: ContainerStack) -> None:
    emulate(stack, 400)
    stack.run("-m", "pinline", "wait", "--timeout", "240")
    said = stack.run("-m", "pinline", "dag", seconds=900).stdout
    assert "publish" in said
    assert "nothing new" not in said
    answers = json.loads(stack.run("-m", "lakehouse.results", "--format", "json").stdout)
    assert len(answers) == 9
    assert all(answers.values() if isinstance(answers, dict) else answers)
    balanced, found = accounting(stack)
    assert balanced, found
    assert {event: (one["acknowledged"], one["silver"]) for event, one in found.items()} == dict.fromkeys(
        ("pin", "geo", "user"), (400, 400)
    )


def test_status_and_logs_tell_of_containers_as_of_processes(stack: ContainerStack) -> None:
    found = {
        line["service"]: line for line in json.loads(stack.run("-m", "pinline", "status", "--format", "json").stdout)
    }
    assert {*_FORWARDED, *_ORCHESTRATING} <= found.keys()
    for name in (*_FORWARDED, *_ORCHESTRATING):
        line = found[name]
        assert line["state"] == "ready", line
        assert line["container"]
        assert line["memory_bytes"] > 2**20
    assert "lag" in found["stream"]["detail"]
    assert "started" in stack.run("-m", "pinline", "logs", "sink").stdout


def test_several_gateways_and_sinks_share_the_work(stack: ContainerStack) -> None:
    scaled = ("--scale", "gateway=2", "--scale", "sink=3")
    stack.compose.run("scaling", "up", "--detach", "--no-recreate", *scaled, "gateway", "sink")
    stack.wait_answers("gateway", "sink")
    assert [len(stack.containers_of(name)) for name in ("gateway", "sink")] == [2, 3]
    before = acknowledged(stack)
    emulate(stack, 100)
    assert acknowledged(stack) == before + 600
    stack.run("-m", "pinline", "wait", "--timeout", "240")


def test_each_container_restarted_in_turn_under_load_loses_and_doubles_nothing(stack: ContainerStack) -> None:
    with command(stack, *EMULATE, "--mode", "both", "--order", "sequential", "--rate", "10") as load:
        wait_for_more(stack, load, "the load begins")
        for service in (*_FORWARDED, *_ORCHESTRATING):
            stack.compose.run(f"restarting {service}", "restart", "--no-deps", service)
            if service in _FORWARDED:
                stack.wait_answers(service)
            wait_for_more(stack, load, f"events are accepted after the restart of {service}")
        load.process.send_signal(signal.SIGINT)
        load.wait(120)
    if spooled(stack):
        emulate(stack, 1)
    stack.wait_healthy(*_FORWARDED, *_ORCHESTRATING)
    assert_balanced_after_a_batch(stack)


def wait_for_more(stack: ContainerStack, load: Command, what: str) -> None:
    """Wait until some more events were accepted."""
    before = acknowledged(stack)
    wait_until(lambda: acknowledged(stack) > before + 30 or load.ended, 180, what, log=lambda: load.said[-2000:])
    assert not load.ended, load.said


def test_after_down_and_up_everything_is_there_again(stack: ContainerStack) -> None:
    stack.down()
    assert not stack.compose.containers()
    stack.up()
    assert "S3 has forgotten" in stack.said
    stack.run("-m", "pinline", "wait", "--timeout", "300", seconds=360)
    assert_balanced(stack)
    before = acknowledged(stack)
    emulate(stack, 50)
    assert acknowledged(stack) == before + 300
    assert_balanced_after_a_batch(stack)


def assert_balanced_after_a_batch(stack: ContainerStack) -> None:
    """What a batch has taken in is balanced."""
    stack.run("-m", "pinline", "wait", "--timeout", "300", seconds=360)
    stack.run(*BATCH, seconds=900)
    assert_balanced(stack)


def assert_balanced(stack: ContainerStack) -> None:
    """All that was accepted is in silver and in the streams' tables, once."""
    balanced, found = accounting(stack)
    assert balanced, found
