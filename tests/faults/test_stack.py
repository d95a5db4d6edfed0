"""All services of the embedded stack at once: each is killed, comes back, and the pipeline goes on.

The back ends are killed in the middle of `emulate` and of `batch`.
"""

from collections.abc import Iterator

import pytest

from tests.faults.load import BATCH, EMULATE, accounting, acknowledged, command
from tests.fixtures.backends import AIRFLOW, PIPELINE, Stack, embedded_stack, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(1800)]

BACK_ENDS = ("mysql", "kafka", "s3", "spark")
OTHERS = tuple(service for service in PIPELINE if service not in BACK_ENDS)
COUNT = 1500
FEW = 20


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with embedded_stack(tmp_path_factory.mktemp("stack"), kafka_partitions=3) as running:
        yield running


def test_everything_is_ready_and_doctor_agrees(stack: Stack) -> None:
    assert stack.run("-m", "native", "status").returncode == 0
    assert stack.run("-m", "native", "doctor").returncode == 0


@pytest.mark.parametrize("services", [("mysql", "kafka"), ("s3",), ("spark",)], ids="-".join)
def test_restarted_in_the_middle_of_emulate_and_of_batch_both_end_and_accounting_is_balanced(
    stack: Stack, services: tuple[str, ...]
) -> None:
    """The batch asks neither MySQL nor Kafka: one batch is enough for both."""
    for service in services:
        emulate_and_kill(stack, service)
    stack.run("-m", "pinline", "wait")

    with command(stack, *BATCH) as batch:
        wait_until(lambda: "lease" in batch.said or batch.ended, 300, "the batch is at work")
        assert not batch.ended, batch.said
        killed = {service: stack.kill(service) for service in services}
        code = batch.wait(900)
        said = batch.said
    for service, pid in killed.items():
        stack.wait_ready(service, after=pid)
    if code:
        assert "Traceback" not in said
        stack.run(*BATCH, seconds=900)
    else:
        assert "spark" not in services, "a batch can't have been at work without its server"
    balanced, found = accounting(stack)
    assert balanced, found


def emulate_and_kill(stack: Stack, service: str) -> None:
    before = acknowledged(stack)
    arguments = ("--order", "sequential", "--count", str(COUNT), "--rate", "400", "--batch-size", "5")
    with command(stack, *EMULATE, *arguments) as emulate:
        wait_until(lambda: acknowledged(stack) > before + 100 or emulate.ended, 120, "records are acknowledged")
        assert not emulate.ended, emulate.said
        killed = stack.kill(service)
        assert emulate.wait(300) == 0, emulate.said
    assert acknowledged(stack) - before >= 3 * COUNT
    stack.wait_ready(service, after=killed)


@pytest.mark.parametrize("service", OTHERS)
def test_a_killed_service_is_restarted_and_the_pipeline_goes_on(stack: Stack, service: str) -> None:
    killed = stack.kill(service)
    assert stack.wait_ready(service, after=killed) != killed
    stack.run(*EMULATE, "--mode", "both", "--count", str(FEW), "--rate", "0")


def test_airflows_killed_processes_come_back(stack: Stack) -> None:
    killed = {service: stack.kill(service) for service in AIRFLOW}
    for service, pid in killed.items():
        assert stack.wait_ready(service, after=pid) != pid


def test_after_the_kills_all_that_was_posted_is_in_the_lake(stack: Stack) -> None:
    stack.run("-m", "pinline", "wait")
    stack.run(*BATCH)
    balanced, found = accounting(stack)
    assert balanced, found
    for event in found.values():
        assert event["kafka_records"] >= len(BACK_ENDS) * COUNT + len(OTHERS) * FEW
        assert event["stream"]["acknowledged_records"] >= len(OTHERS) * FEW


def test_down_leaves_no_process(stack: Stack) -> None:
    stack.down()
    assert stack.processes() == []
