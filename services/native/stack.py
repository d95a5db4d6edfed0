"""The whole stack: started in the order of what needs what, as parallel as it can be, stopped the other way round."""

import hashlib
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import psutil
from pydantic import SecretStr

from native import launch as launching
from native import layout, leftovers, preflight, seeding, supervise
from native.ready import problem
from native.services import SERVICES, Service
from native.supervise import Supervisor
from pinline import runtime_choice
from pinline.errors import DeadlineError, PinlineError, StateError
from pinline.init import ensure_bucket, ensure_streams, ensure_topics
from pinline.settings import ROOT, Settings

Tell = Callable[[str, str], None]
"""Told of progress: the name of a service or step, and its state in a word or two (`ready` at its end)."""

_DEADLINE = 180.0
_MOST_STARTS = 4
_POLL = 0.1
_SERVICE_SECONDS, _ORPHAN_SECONDS = 30.0, 3.0
"""How long what is asked to end may take, before it is killed."""


def up(settings: Settings, services: Mapping[str, Service], tell: Tell) -> None:
    """Start `services`, wait until each answers, make bucket, topics and streams, and seed an empty database.

    What runs already is left alone, unless its configuration changed: then it is started anew. Raises PinlineError:
    before anything is started if preflight finds a problem; later naming the service, with the end of its log.
    """
    supervisor = supervise.connect(settings)
    if supervisor is None and (found := leftovers.find(settings)):
        tell("leftovers", f"ending {len(found)} processes of a stack whose supervisor is gone")
        _end(found, _SERVICE_SECONDS)
    if found_problems := preflight.problems(settings, services.values()):
        raise StateError("\n".join(["the stack can't start:", *(f"  - {text}" for text in found_problems)]))
    runtime_choice.take(settings.pinline_data, "native")
    _configure(settings, services, supervisor)
    if supervisor is None:
        _start_supervisor(settings)
    else:
        supervisor.update()
    _Start(settings, services, tell).run()


def down(settings: Settings, services: Mapping[str, Service], tell: Tell) -> None:
    """Stop everything, services before what they need, each with the time to flush. No process is left."""
    supervisor = supervise.connect(settings)
    if supervisor is not None:
        running = {name for name, program in supervisor.programs().items() if program.pid}
        while running:
            stage = {name for name in running if not any(name in services[other].needs for other in running)}
            _stop_stage(supervisor, stage, tell)
            running -= stage
        daemon = psutil.Process(supervisor.pid())
        supervisor.shutdown()
        psutil.wait_procs([daemon], timeout=10)
        # what is left are children of services that were killed, such as Airflow's executors: they don't end when
        # they are asked, and have nothing to flush
        _end(leftovers.find(settings), seconds=_ORPHAN_SECONDS)
    else:
        _end(leftovers.find(settings), seconds=_SERVICE_SECONDS)


def _stop_stage(supervisor: Supervisor, stage: Iterable[str], tell: Tell) -> None:
    left = set(stage)
    for name in left:
        tell(name, "stopping")
        supervisor.stop(name, wait=False)
    while left:
        programs = supervisor.programs()
        for name in [name for name in left if not programs[name].pid]:
            tell(name, "stopped")
            left.discard(name)
        time.sleep(_POLL if left else 0)


def _end(processes: list[psutil.Process], seconds: float) -> None:
    if stuck := leftovers.end(processes, seconds):
        names = ", ".join(f"{process.name()} (pid {process.pid})" for process in stuck)
        raise StateError(f"these processes would not end: {names}. Try: kill -9 with their pids")


def _configure(settings: Settings, services: Mapping[str, Service], supervisor: Supervisor | None) -> None:
    """Write every configuration. Services that run but were not asked for stay configured."""
    programs = supervisor.programs() if supervisor else {}
    running = {name for name, program in programs.items() if program.pid}
    launches = {name: service.launch(settings) for name, service in SERVICES.items() if name in {*services, *running}}
    for folder in (settings.pinline_data, layout.run_dir(settings), layout.log_file(settings, "any").parent):
        layout.make_private(folder)
    for launch in launches.values():
        launching.write(launch)
    text = supervise.config(
        settings,
        launches,
        stop_seconds={name: SERVICES[name].stop_seconds for name in launches},
        digests={name: _digest(settings, launch) for name, launch in launches.items()},
    )
    launching.write(launching.Launch((), files={supervise.config_file(settings): text}))


def _digest(settings: Settings, launch: launching.Launch) -> str:
    """A hash of what the service reads at its start."""
    parts = list(launch.files.values())
    if launch.reads_settings:
        parts += [f"{name}={value}" for name, value in sorted(dict(settings).items())]
        parts += [value.get_secret_value() for value in dict(settings).values() if isinstance(value, SecretStr)]
        if settings.sink_config.exists():
            parts.append(settings.sink_config.read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _start_supervisor(settings: Settings) -> None:
    environment = launching.child_environment(settings)
    run = subprocess.run(
        supervise.command(settings), env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    deadline = time.monotonic() + 15
    while supervise.connect(settings) is None:
        if run.returncode or time.monotonic() > deadline:
            log = tail(layout.log_file(settings, "supervisord"))
            raise PinlineError(f"starting supervisord failed:\n{run.stdout}{run.stderr}{log}")
        time.sleep(_POLL)


class _Start:
    """One `up`: a thread a service, each waiting for the events of what it needs."""

    def __init__(self, settings: Settings, services: Mapping[str, Service], tell: Tell) -> None:
        self._settings = settings
        self._services = services
        self._tell = tell
        self._abort = Event()
        self._steps: dict[str, Callable[[], None]] = {}
        if "s3" in services:
            self._steps["bucket"] = self._step("bucket", "s3", self._make_bucket)
        if "kafka" in services:
            self._steps["topics"] = self._step("topics", "kafka", self._make_topics)
        if "kinesis" in services:
            self._steps["streams"] = self._step("streams", "kinesis", self._make_streams)
        if {"mysql", "s3"} <= services.keys() and seeding.is_possible(settings):
            self._steps["database"] = self._step("database", "mysql", self._seed)
        self._done = {name: Event() for name in (*services, *self._steps)}

    def run(self) -> None:
        """Start all; raise the first error."""
        tasks: list[Callable[[], None]] = [self._service(service) for service in self._services.values()]
        tasks += self._steps.values()
        with ThreadPoolExecutor(len(tasks)) as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._abort.set()
        failed = [error for future in futures if (error := future.exception()) and not isinstance(error, _AbortedError)]
        if failed:
            raise failed[0]

    def _service(self, service: Service) -> Callable[[], None]:
        def start() -> None:
            supervisor = Supervisor(self._settings)
            self._tell(service.name, "waiting")
            if problem(service.check, self._settings) is not None or not supervisor.programs()[service.name].pid:
                self._prepare(service)
                self._wait_for(*service.needs)
                self._tell(service.name, "starting")
                supervisor.start(service.name)
            self._until_ready(service, supervisor)
            self._done[service.name].set()
            self._tell(service.name, "ready")

        return start

    def _prepare(self, service: Service) -> None:
        self._tell(service.name, "preparing")
        service.prepare(self._settings)

    def _until_ready(self, service: Service, supervisor: Supervisor) -> None:
        starts = set()
        deadline = time.monotonic() + _DEADLINE
        while (reason := problem(service.check, self._settings)) is not None:
            program = supervisor.programs()[service.name]
            starts.add(program.start)
            if program.state == "FATAL" or len(starts) > _MOST_STARTS:
                raise self._failed(service, f"it ended again and again ({program.description or program.state})")
            if time.monotonic() > deadline:
                raise DeadlineError(str(self._failed(service, f"not ready within {_DEADLINE:.0f} s: {reason}")))
            self._stop_if_aborted(_POLL)

    def _step(self, name: str, needs: str, work: Callable[[], None]) -> Callable[[], None]:
        def do() -> None:
            self._wait_for(needs)
            work()
            self._done[name].set()
            self._tell(name, "ready")

        return do

    def _make_bucket(self) -> None:
        ensure_bucket(self._settings)

    def _make_topics(self) -> None:
        ensure_topics(self._settings)

    def _make_streams(self) -> None:
        ensure_streams(self._settings)

    def _seed(self) -> None:
        self._wait_for("bucket")
        if seeding.is_empty(self._settings):
            self._tell("database", "seeding")
            seeding.seed(self._settings)

    def _wait_for(self, *names: str) -> None:
        for name in names:
            while name in self._done and not self._done[name].wait(_POLL):
                self._stop_if_aborted(0)

    def _stop_if_aborted(self, seconds: float) -> None:
        if self._abort.wait(seconds):
            raise _AbortedError

    def _failed(self, service: Service, why: str) -> PinlineError:
        log = layout.log_file(self._settings, service.name)
        return PinlineError(
            f"starting {service.name} failed: {why}. The end of {log}:\n{tail(log)}\n"
            f"Try: make logs SERVICE={service.name}"
        )


class _AbortedError(Exception):
    """Another service failed."""


def tail(file: Path, characters: int = 2500) -> str:
    """Return the end of a log; an empty text if there is none."""
    if not file.exists():
        return ""
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - characters))
        return log.read().decode(errors="replace").strip()
