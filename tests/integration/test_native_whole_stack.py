"""All services of the embedded stack at once: each of ours is killed and comes back."""

from collections.abc import Iterator

import pytest

from tests.fixtures.backends import Stack, embedded_stack

pytestmark = [pytest.mark.integration, pytest.mark.faults]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with embedded_stack(tmp_path_factory.mktemp("whole")) as running:
        yield running


def test_everything_is_ready_and_doctor_agrees(stack: Stack) -> None:
    assert stack.run("-m", "native", "status").returncode == 0
    assert stack.run("-m", "native", "doctor").returncode == 0


@pytest.mark.parametrize("service", ["gateway", "kinesis", "sink", "spark"])
def test_a_killed_service_of_ours_is_restarted_and_answers(stack: Stack, service: str) -> None:
    killed = stack.kill(service)
    assert stack.wait_ready(service, after=killed) != killed


def test_down_leaves_no_process(stack: Stack) -> None:
    stack.down()
    assert stack.processes() == []
