"""What `make up` says when the stack in containers can't come up, and what becomes of it then."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from containers import engine
from pinline import runtime_choice
from tests.compose.stack import ContainerStack

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

Make = Callable[[str], ContainerStack]


@pytest.fixture
def make(docker: Mapping[str, str], tmp_path: Path) -> Iterator[Make]:
    """Makes a stack that is not up; `override` is what compose.yaml has besides. It is removed after the test."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as ends:

        def make_stack(override: str) -> ContainerStack:
            stack = ContainerStack(tmp_path / "stack", docker, "own")
            if override:
                file = tmp_path / "override.yaml"
                file.write_text(override)
                stack.env["COMPOSE_FILE"] = f"compose.yaml:{file}"
            for name, value in stack.env.items():
                patch.setenv(name, value)
            ends.callback(stack.close)
            return stack

        yield make_stack


def refused(stack: ContainerStack, *services: str) -> str:
    """What an `up` that can't work says."""
    done = stack.run("-m", "pinline", "up", "--only", ",".join(services), check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def volumes(stack: ContainerStack) -> list[str]:
    """The stack's volumes."""
    label = f"label=com.docker.compose.project={stack.settings.user_id}"
    return engine.docker("volume", "ls", "--quiet", "--filter", label).split()


def test_a_taken_port_is_named_with_its_setting_before_anything_starts(make: Make) -> None:
    stack = make("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stack.settings.rds_port))
        taken.listen()
        said = refused(stack, "mysql")
    assert f"port {stack.settings.rds_port} (RDS_PORT) is taken by" in said
    assert "to a free port" in said
    assert stack.compose.containers() == []


def test_an_image_that_can_not_be_had_names_the_way_without_docker(make: Make) -> None:
    stack = make("services: {postgres: {image: '127.0.0.1:9/nobody/has-it:1'}}")
    said = refused(stack, "postgres")
    assert "postgres: pulling its image" in said
    assert "can neither be pulled nor built" in said
    assert "RUNTIME=native" in said
    assert runtime_choice.owner(stack.settings.pinline_data) is None, "it can be: nothing was started"


def test_a_container_without_enough_memory_is_told_as_such(make: Make) -> None:
    said = refused(make("services: {postgres: {entrypoint: [tail, /dev/zero], mem_limit: 32m}}"), "postgres")
    assert "starting postgres failed: it was killed (exit code 137), most likely for memory" in said
    assert "mem_limit" in said


def test_a_container_that_ends_is_told_with_the_end_of_its_log(make: Make) -> None:
    said = refused(make("services: {postgres: {command: [postgres, --no-such-option]}}"), "postgres")
    assert "starting postgres failed: it ended with exit code" in said
    assert "no-such-option" in said
    assert "make logs SERVICE=postgres" in said


def test_one_service_comes_up_shows_its_state_and_goes_with_its_data(make: Make) -> None:
    stack = make("")
    stack.up("postgres")
    assert f"RUNTIME=docker: the stack runs {runtime_choice.WHERE['docker']}" in stack.said
    assert "postgres: ready" in stack.said
    assert runtime_choice.docker_runs(stack.settings.user_id)
    (volume,) = volumes(stack)
    stack.down()
    assert not runtime_choice.docker_runs(stack.settings.user_id)
    assert volumes(stack) == [volume]
    label = f"com.docker.compose.project={stack.settings.user_id}"
    engine.docker("volume", "create", "--label", label, f"{stack.settings.user_id}_of_an_override")
    stack.env["YES"] = "1"
    stack.run("-m", "pinline", "reset")
    assert volumes(stack) == []
    assert list(stack.settings.pinline_data.iterdir()) == []


def test_the_stack_of_another_checkout_is_left_alone(make: Make, tmp_path: Path) -> None:
    stack, other = make(""), tmp_path / "other"
    other.mkdir()
    project = "com.docker.compose.project"
    labels = [f"{project}={stack.settings.user_id}", f"{project}.working_dir={other}"]
    words = [word for label in labels for word in ("--label", label)]
    container = engine.docker("create", *words, stack.compose.services()["postgres"].image).strip()
    stack.env["YES"] = "1"
    try:
        for command in ("up", "down", "reset"):
            done = stack.run("-m", "pinline", command, check=False)
            assert done.returncode == 1
            assert f"are those of the checkout {other}" in done.stderr
            assert "COMPOSE_PROJECT_NAME" in done.stderr
    finally:
        engine.docker("rm", container)
