"""The containers started and stopped, followed until each is healthy, and explained if one isn't."""

import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from containers import causes, engine, forgotten, images, preflight
from containers.causes import Failure
from containers.compose import Compose, Container, Service, of_service
from containers.engine import Inspected
from native import layout, ready
from pinline import runtime_choice
from pinline.errors import DeadlineError, PinlineError, SettingsError, StateError
from pinline.runtime import Tell
from pinline.settings import ROOT, Settings, env_file

_DEADLINE = 240.0
"""Seconds without any change."""
_MOST_RESTARTS = 4
_POLL = 1.0
_END_SECONDS = 10.0
_LOG_LINES = 25


class Progress(NamedTuple):
    """How far a service is."""

    word: str
    is_settled: bool
    has_failed: bool = False


def up(settings: Settings, only: Sequence[str], tell: Tell) -> None:
    """Start the services, all if `only` is empty, and return when each is healthy and each task is done.

    What runs as it should is left alone. Raises PinlineError: before anything is started if preflight finds a problem,
    or an image can't be had; later naming the service, with the end of its log and the likely cause.
    """
    docker = engine.engine()
    compose = Compose(settings, complete=True)
    _refuse_anothers()
    everything = compose.services()
    services = choose(everything, only)
    before = compose.containers()
    needs_images = not images.are_there(settings, services)
    on_account = everything.keys().isdisjoint({"s3", "kafka"})
    if found := preflight.problems(
        settings, services, before, docker, needs_images=needs_images, on_account=on_account
    ):
        raise StateError("\n".join(["the stack can't start:", *(f"  - {text}" for text in found)]))
    replaced = images.ensure(settings, compose, services, tell) if needs_images else []
    runtime_choice.take(settings.pinline_data, "docker")
    _make_room(services, before, tell)
    _Start(settings, compose, services, tell).run(only)
    images.forget(replaced)


def down(settings: Settings, tell: Tell, *, volumes: bool = False) -> None:
    """Stop and remove the containers, of every profile; with `volumes` their data too."""
    compose = Compose(settings)
    _refuse_anothers()
    log = _log(settings)
    process = compose.start(log, "--profile", "*", "down", "--remove-orphans", *(["--volumes"] if volumes else []))
    seen: set[str] = set()
    while (code := process.poll()) is None:
        there = {container.service: container.state for container in compose.containers()}
        for name, state in there.items():
            tell(name, "stopping" if state == "running" else "stopped")
        for name in seen - there.keys():
            tell(name, "stopped")
        seen |= there.keys()
        time.sleep(_POLL)
    for name in seen:
        tell(name, "stopped")
    if code:
        cause = causes.of_command(said := _tail(log), "stopping the containers")
        raise PinlineError(f"stopping the containers failed: {cause.text}\n{said}\nTry: {cause.do}")
    if volumes:  # Compose knows those of the files that it is given, and the stack may have been started with others
        engine.remove_volumes(runtime_choice.project_name(env_file()))


def _refuse_anothers() -> None:
    """Raise StateError if the project's containers were made from another checkout that is there: whose data it is."""
    project = runtime_choice.project_name(env_file())
    for folder in engine.checkouts(project):
        if folder.exists() and folder.resolve() != ROOT.resolve():
            raise StateError(
                f"the containers of the Compose project {project!r} are those of the checkout {folder}: this "
                "one would replace them or delete their data. Stop them there (make down), or give this one a name and "
                f"ports of its own: COMPOSE_PROJECT_NAME and the ports in {env_file()}"
            )


def choose(services: Mapping[str, Service], only: Iterable[str]) -> dict[str, Service]:
    """Return the named services and what they need, all if none is named. Raises SettingsError on an unknown name."""
    wanted = list(only)
    if unknown := sorted(set(wanted) - services.keys()):
        raise SettingsError(f"unknown service {', '.join(unknown)}. Valid: {', '.join(services)}")
    needed, more = set[str](), set(wanted or services)
    while more:
        needed |= more
        more = {name for one in more for name in services[one].needs if name in services} - needed
    return {name: service for name, service in services.items() if name in needed}


def progress(service: Service, found: Sequence[Container]) -> Progress:
    """Return how far a service is, by its containers."""
    if not found:
        return Progress("waiting", is_settled=False)
    each = [_progress(service, container) for container in found]
    return min(each, key=lambda one: (not one.has_failed, one.is_settled))


def _progress(service: Service, container: Container) -> Progress:
    match container.state:
        case "running" if service.is_task:
            return Progress("working", is_settled=False)
        case "running" if container.health == "healthy" or not service.has_check:
            return Progress("ready", is_settled=True)
        case "running":
            return Progress("not healthy" if container.health == "unhealthy" else "starting", is_settled=False)
        case "exited" if service.is_task and container.exit_code == 0:
            return Progress("done", is_settled=True)
        case "exited" | "dead":
            return Progress(f"ended ({container.exit_code})", is_settled=False, has_failed=True)
        case "restarting":
            return Progress("ended, starting again", is_settled=False)
        case _:
            return Progress("waiting", is_settled=False)


class _Start:
    """One `up`: `docker compose up` at work, and what becomes of each service."""

    def __init__(self, settings: Settings, compose: Compose, services: Mapping[str, Service], tell: Tell) -> None:
        self._settings = settings
        self._compose = compose
        self._services = services
        self._tell = tell
        self._log = _log(settings)
        there = engine.inspect(container.id for container in compose.containers())
        self._restarts = {one.id: one.restarts for one in there.values()}
        """How often each container had ended and been started again before."""

    def run(self, only: Sequence[str]) -> None:
        """Start all, and wait; raise the first error."""
        arguments = ("--progress", "plain", "up", "--detach", "--no-build", "--remove-orphans", *only)
        process = self._compose.start(self._log, *arguments)
        try:
            self._follow(process)
            if again := self._with_an_older_view():
                for name in again:
                    self._tell(name, "starting anew: S3 is empty")
                self._compose.run(f"restarting {', '.join(again)}", "restart", "--no-deps", *again)
            self._follow()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()

    def _follow(self, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Show what becomes of each service, until `process` has ended, or without one until each is settled."""
        seen: dict[str, str] = {}
        deadline = time.monotonic() + _DEADLINE
        while True:
            code = process.poll() if process else None
            found = self._compose.containers()
            now = {name: progress(service, of_service(found, name)) for name, service in self._services.items()}
            now = {name: self._with_own_words(name, one) for name, one in now.items()}
            for name, one in now.items():
                self._tell(name, one.word)
            if code or (process is None and self._has_given_up(found, now)):
                raise self._failed(found, now)
            if code == 0 or (process is None and all(one.is_settled for one in now.values())):
                return
            words = {name: one.word for name, one in now.items()}
            if words != seen:
                seen, deadline = words, time.monotonic() + _DEADLINE
            if time.monotonic() > deadline:
                late = ", ".join(name for name, one in now.items() if not one.is_settled)
                text = f"nothing has changed for {_DEADLINE:.0f} s, and these are not ready: {late}"
                raise DeadlineError(f"{text}. {self._failed(found, now)}")
            time.sleep(_POLL)

    def _with_own_words(self, name: str, one: Progress) -> Progress:
        """A stream that waits for a person's decision is no reason to wait: the rest of the stack works."""
        if name != "stream" or one.is_settled or one.has_failed or one.word == "waiting":
            return one
        state, reason = ready.examine(ready.stream, self._settings)
        if state == "failing" and reason and "make stream-reset" in reason:
            return Progress(f"needs a decision: {reason}", is_settled=True)
        return one

    def _has_given_up(self, found: Sequence[Container], now: Mapping[str, Progress]) -> bool:
        if any(one.has_failed for one in now.values()):
            return True
        late = {name for name, one in now.items() if not one.is_settled}
        known = engine.inspect(container.id for container in found if container.service in late)
        return any(one.restarts - self._restarts.get(one.id, 0) >= _MOST_RESTARTS for one in known.values())

    def _with_an_older_view(self) -> list[str]:
        ids = [container.id for container in self._compose.containers() if container.service in self._services]
        return forgotten.with_an_older_view(engine.inspect(ids).values())

    def _failed(self, found: Sequence[Container], now: Mapping[str, Progress]) -> PinlineError:
        """Return the error that tells of the service that is the likeliest to have kept the others from starting."""
        said = _tail(self._log)
        late = [name for name, one in now.items() if not one.is_settled]
        order = sorted(late, key=lambda name: (_rank(now[name], of_service(found, name)), late.index(name)))
        if not order or not of_service(found, order[0]):
            cause = causes.of_command(said, "starting the containers")
            return PinlineError(f"starting the stack failed: {cause.text}. Docker said:\n{said}\nTry: {cause.do}")
        name = order[0]
        container = of_service(found, name)[0]
        log = self._log_of(name)
        inspected = _at_its_end(container)
        cause = causes.of(
            Failure(
                name,
                container.exit_code or (inspected.exit_code if inspected else 0),
                inspected.was_out_of_memory if inspected else False,
                self._services[name].memory,
                inspected.error if inspected else "",
                inspected.health_output if inspected else "",
                log,
                said,
            )
        )
        shown = f" The end of its log:\n{log}" if log else f" Docker said:\n{said}"
        return PinlineError(f"starting {name} failed: {cause.text}.{shown}\nTry: {cause.do}")

    def _log_of(self, name: str) -> str:
        arguments = ("logs", "--no-color", "--no-log-prefix", "--tail", str(_LOG_LINES), name)
        try:
            return self._compose.run(f"reading the log of {name}", *arguments).strip()[-2500:]
        except PinlineError as error:
            return str(error)


def _at_its_end(container: Container) -> Inspected | None:
    """Return what the engine knows of a container; of one that ends again and again, while it is not running."""
    deadline = time.monotonic() + _END_SECONDS
    while True:
        found = engine.inspect([container.id]).get(container.id)
        is_known = found is None or found.exit_code or container.state != "restarting"
        if is_known or time.monotonic() > deadline:
            return found
        time.sleep(_POLL / 10)


def _rank(one: Progress, found: Sequence[Container]) -> int:
    """The lower, the likelier the cause: one that ended, one that runs and isn't well, one that waits for them."""
    if one.has_failed:
        return 0
    if any(container.state == "restarting" or container.health == "unhealthy" for container in found):
        return 1
    return 2 if any(container.state == "running" for container in found) else 3


def _make_room(services: Mapping[str, Service], found: Sequence[Container], tell: Tell) -> None:
    """Remove containers of services that are not of this stack any more (KINESIS changed) and have its ports."""
    wanted = {port for service in services.values() for port in service.ports}
    for container in found:
        if container.service not in services and container.ports & wanted:
            tell(container.service, "stopping")
            engine.docker("stop", container.id)
            engine.docker("rm", container.id)
            tell(container.service, "stopped")


def _log(settings: Settings) -> Path:
    log = layout.log_file(settings, "compose")
    layout.make_private(log.parent)
    log.write_text("")
    return log


def _tail(log: Path, characters: int = 2500) -> str:
    return log.read_text(errors="replace").strip()[-characters:]
