"""All services of the embedded stack at once: each is killed, comes back, and the pipeline goes on."""

from collections.abc import Iterator

import pytest

from tests.faults.load import BATCH, EMULATE, accounting
from tests.fixtures.backends import AIRFLOW, PIPELINE, Stack, embedded_stack

pytestmark = [pytest.mark.integration, pytest.mark.faults]

COUNT = 20


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with embedded_stack(tmp_path_factory.mktemp("whole")) as running:
        yield running


def test_everything_is_ready_and_doctor_agrees(stack: Stack) -> None:
    assert stack.run("-m", "native", "status").returncode == 0
    assert stack.run("-m", "native", "doctor").returncode == 0


@pytest.mark.parametrize("service", PIPELINE)
def test_a_killed_service_is_restarted_and_the_pipeline_goes_on(stack: Stack, service: str) -> None:
    killed = stack.kill(service)
    assert stack.wait_ready(service, after=killed) != killed
    stack.run(*EMULATE, "--mode", "both", "--count", str(COUNT), "--rate", "0")


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
        assert event["kafka_records"] >= len(PIPELINE) * COUNT
        assert event["stream"]["acknowledged_records"] >= len(PIPELINE) * COUNT


def test_down_leaves_no_process(stack: Stack) -> None:
    stack.down()
    assert stack.processes() == []
