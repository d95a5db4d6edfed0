"""A stack in containers of its own: project, ports, `.env`, volumes; steered by the commands that a user types."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from containers.compose import Compose, Container, of_service
from tests.fixtures.backends import Stack, wait_until

_UP_SECONDS = 1800

Kinesis = Literal["own", "localstack"]


class ContainerStack(Stack):
    """What `Stack` is for processes, with Docker."""

    said = ""
    """What the last `up` said."""

    def __init__(self, folder: Path, docker: Mapping[str, str], kinesis: Kinesis) -> None:
        super().__init__(folder, runtime="docker", kinesis=kinesis, kafka_partitions=3)
        self.env |= {name: value for name, value in docker.items() if name.startswith(("DOCKER_", "CA_BUNDLE", "SSL_"))}
        self.env |= {"PATH": docker["PATH"], "COMPOSE_PROJECT_NAME": self.settings.user_id}

    @property
    def compose(self) -> Compose:
        """`docker compose` on this stack."""
        return Compose(self.settings, complete=True, outside=self.env)

    def up(self, *services: str) -> None:
        """Start the named services, all if none is named, and wait until they answer."""
        only = ["--only", ",".join(services)] if services else []
        done = self.run("-m", "pinline", "up", *only, seconds=_UP_SECONDS)
        self.said = done.stdout + done.stderr

    def down(self) -> None:
        """Stop everything."""
        self.run("-m", "pinline", "down")

    def inspected(self) -> list[dict[str, Any]]:
        """What `docker inspect` tells of all containers of the stack, those that have ended too."""
        return inspect(*(container.id for container in self.compose.containers()))

    def running(self) -> list[str]:
        """The services that have a running container, as compose.yaml orders them."""
        there = {container.service for container in self.compose.containers() if container.state == "running"}
        return [name for name in self.compose.services() if name in there]

    def containers_of(self, service: str) -> list[Container]:
        """A service's containers."""
        return of_service(self.compose.containers(), service)

    def wait_healthy(self, *services: str) -> None:
        """Wait until Docker calls each container of the services healthy."""
        self._wait(services, lambda container: (container.state, container.health) == ("running", "healthy"))

    def wait_answers(self, *services: str) -> None:
        """Wait until the health check of each container of the services, asked now, is content. Docker itself asks only
        every few seconds."""
        self._wait(services, _answers)

    def _wait(self, services: Sequence[str], is_well: Callable[[Container], bool]) -> None:
        def are_well() -> bool:
            found = [container for name in services for container in self.containers_of(name)]
            return len(found) >= len(services) and all(map(is_well, found))

        wait_until(are_well, 240, f"{', '.join(services)} are healthy", log=lambda: self.log(*services))

    def log(self, *services: str) -> str:
        """The end of what the services said."""
        return self.compose.run("reading logs", "logs", "--tail", "60", *services)

    def close(self) -> None:
        """Leave no container and no volume, whatever happened."""
        self.compose.run(
            "removing the stack", "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "0"
        )


def inspect(*names: str, kind: str = "container") -> list[dict[str, Any]]:
    """Return what `docker inspect` tells of containers or images."""
    command = ["docker", "inspect", "--type", kind, *names]
    found: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def _answers(container: Container) -> bool:
    kind, *words = inspect(container.id)[0]["Config"]["Healthcheck"]["Test"]
    command = ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words
    return not subprocess.run(["docker", "exec", container.id, *command], capture_output=True, check=False).returncode


@contextmanager
def container_stack(folder: Path, docker: Mapping[str, str], kinesis: Kinesis) -> Iterator[ContainerStack]:
    """A running stack in containers; its containers, network and volumes are removed at the end."""
    stack = ContainerStack(folder, docker, kinesis)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.env.items():
            patch.setenv(name, value)
        try:
            stack.up()
            yield stack
        finally:
            stack.close()
