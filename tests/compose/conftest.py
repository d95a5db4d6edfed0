"""The lane's engine, of the machine or brought and started here, and the one stack that is up at a time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.compose.prepare import prepared
from tests.compose.stack import ContainerStack, Kinesis, container_stack


@pytest.fixture(scope="session")
def docker() -> Iterator[dict[str, str]]:
    """The environment in which Docker and Compose work, with third-party images at hand."""
    with prepared() as environment:
        yield environment


@pytest.fixture(scope="session")
def stack_with(
    docker: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Kinesis], ContainerStack]]:
    """Returns the running stack with that Kinesis. Asked for the other one, it ends this one: two are too many."""
    with ExitStack() as now:
        found: dict[Kinesis, ContainerStack] = {}

        def get(kinesis: Kinesis) -> ContainerStack:
            if kinesis not in found:
                now.close()
                found.clear()
                folder = tmp_path_factory.mktemp(kinesis)
                found[kinesis] = now.enter_context(container_stack(folder, docker, kinesis))
            return found[kinesis]

        yield get


@pytest.fixture
def stack(stack_with: Callable[[Kinesis], ContainerStack]) -> ContainerStack:
    """The stack whose Kinesis keeps what it accepts."""
    return stack_with("own")


@pytest.fixture
def forgetful(stack_with: Callable[[Kinesis], ContainerStack]) -> ContainerStack:
    """The stack whose Kinesis is LocalStack's."""
    return stack_with("localstack")
