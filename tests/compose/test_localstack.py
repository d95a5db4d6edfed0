"""LocalStack forgets at each restart: what Kafka holds comes back by itself, and what doesn't is told."""

import json

import pytest

from tests.compose.stack import ContainerStack
from tests.faults.load import BATCH, EMULATE, accounting
from tests.fixtures.backends import wait_until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2400)]


def stream_state(stack: ContainerStack) -> dict[str, str]:
    """What `make status` shows of the streaming job."""
    found = json.loads(stack.run("-m", "pinline", "status", "--format", "json", check=False).stdout)
    line: dict[str, str] = next(line for line in found if line["service"] == "stream")
    return line


def test_after_a_restart_the_batch_side_balances_by_itself_and_the_streams_loss_is_told(
    forgetful: ContainerStack,
) -> None:
    stack = forgetful
    stack.run(*EMULATE, "--mode", "both", "--order", "sequential", "--count", "100")
    stack.run("-m", "pinline", "wait", "--timeout", "240")
    stack.run(*BATCH, seconds=900)
    balanced, found = accounting(stack)
    assert balanced, found

    stack.compose.run("restarting LocalStack", "restart", "--no-deps", "kinesis-localstack")
    wait_until(
        lambda: "make stream-reset" in (stream_state(stack)["reason"] or ""),
        240,
        "the streaming job tells that its streams are new ones, and what to type",
        log=lambda: stack.log("stream"),
    )
    stack.run("-m", "pinline", "stream-reset")

    stack.compose.run("restarting LocalStack", "restart", "--no-deps", "s3")
    stack.up()
    assert "S3 has forgotten" in stack.said
    assert "Kinesis has forgotten 300 records" in stack.said
    _balanced, found = accounting(stack)
    for event, one in found.items():
        stream = one.pop("stream")
        assert one["silver"] == 100, event
        assert not [name for name, value in one.items() if isinstance(value, list) and value], one
        assert not stream["balanced"]
        assert len(stream["missing_keys"]) == 100, "what Kinesis accepted and forgot is named, key by key"

    stack.run(*EMULATE, "--mode", "stream", "--order", "sequential", "--count", "100", "--start", "0")
    stack.run("-m", "pinline", "wait", "--timeout", "240")
    _balanced, found = accounting(stack)
    assert {event: one["stream"]["missing_keys"] for event, one in found.items()} == {"pin": [], "geo": [], "user": []}
