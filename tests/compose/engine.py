"""A Docker engine and Compose for the lane: those of the machine, else ones brought and started here.

If no engine answers, Debian's is installed and started with all that it writes in the cache folder; whoever started it
stops it. Compose v2 is built from its Go module if the machine has none (`plugin`).

    with engine() as environment:
        subprocess.run(["docker", "compose", "up", "--wait"], env=environment)

`python -m tests.compose.engine start` leaves one running and prints how it is reached; `stop` ends it.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from pinline.errors import PinlineError
from tests.compose import cache, plugin

Tell = Callable[[str], None]

_UP_SECONDS = 60
_DOWN_SECONDS = 90
_KEPT_BUILD_CACHE = "6GB"


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def engine(tell: Tell = say) -> Iterator[dict[str, str]]:
    """Yield the environment in which `docker` and `docker compose` work. An engine started here ends with it."""
    with running(tell) as environment:
        yield environment | plugin.ensure(environment, tell)


@contextmanager
def running(tell: Tell = say) -> Iterator[dict[str, str]]:
    """Yield the environment in which `docker` works, without regard to Compose."""
    own = Own(cache.folder() / "docker")
    started = ensure_engine(own, tell)
    try:
        if started:
            remove_containers({**os.environ, **own.address})
        yield environment(own)
    finally:
        if started:
            prune({**os.environ, **own.address})
            own.stop()
            tell("the engine that was started is stopped")


def environment(own: "Own") -> dict[str, str]:
    """Return the environment of commands: this process's own, where the engine is, and that BuildKit builds."""
    found = {**os.environ, "DOCKER_BUILDKIT": "1"}
    if not _is_up(found):
        found |= own.address
    if not cache.answers(["docker", "buildx", "version"], found):
        found["COMPOSE_BAKE"] = "false"  # it needs buildx; Compose builds by itself without
    if bundle := cache.ca_bundle():
        found["CA_BUNDLE"] = str(bundle)
    return found


def ensure_engine(own: "Own", tell: Tell = say) -> bool:
    """See that an engine answers. Return whether it had to be started."""
    if _is_up(os.environ) or _is_up({**os.environ, **own.address}):
        return False
    if not cache.find_program("dockerd") or not cache.find_program("iptables"):
        tell("no Docker engine answers: installing docker.io")
        cache.install(["docker.io", "iptables"], "a Docker engine")
    if not cache.find_program("docker"):
        cache.install(["docker-cli"], "Docker's client, a package of its own since Debian 13")
    tell(f"starting a Docker engine in {own.folder}")
    own.start()
    return True


def remove_containers(environment: Mapping[str, str]) -> None:
    """Remove every container: those of a lane that was cut short come up again with the engine, and hold its ports."""
    left = cache.run(["docker", "ps", "--all", "--quiet"], "listing containers", environment).split()
    if left:
        cache.run(["docker", "rm", "--force", "--volumes", *left], "removing containers of an earlier run", environment)


def prune(environment: Mapping[str, str]) -> None:
    """Bound what the engine keeps: untagged images and containers go, and of the build cache what exceeds a limit."""
    for command in (
        ["container", "prune", "-f"],
        ["image", "prune", "-f"],
        ["builder", "prune", "-f", "--keep-storage", _KEPT_BUILD_CACHE],
    ):
        # a client without buildx refuses `builder` while BuildKit is on, whose cache it prunes all the same
        subprocess.run(
            ["docker", *command], env={**environment, "DOCKER_BUILDKIT": "0"}, capture_output=True, check=False
        )


@dataclass(frozen=True)
class Own:
    """The engine that is started here; everything of it is under `folder`."""

    folder: Path

    @property
    def address(self) -> dict[str, str]:
        """How clients reach it."""
        return {"DOCKER_HOST": f"unix://{self.folder / 'docker.sock'}"}

    @property
    def _pid_file(self) -> Path:
        return self.folder / "docker.pid"

    @property
    def _log(self) -> Path:
        return self.folder / "dockerd.log"

    @property
    def runs(self) -> bool:
        """Whether it was started and is there."""
        return self._process() is not None

    def start(self) -> None:
        """Start it and wait until it answers. Raises PinlineError with the end of its log."""
        if os.geteuid():
            raise PinlineError("no Docker engine answers, and only root can start one: start Docker, then try again")
        self.folder.mkdir(parents=True, exist_ok=True)
        # of one that was killed; whoever has that number by now would keep the engine from starting
        self._pid_file.unlink(missing_ok=True)
        if self._comes_up(os.environ):
            return
        legacy = cache.find_program("iptables-legacy")
        if "iptables" in self._end_of_log() and legacy and self._comes_up(self._with_iptables(Path(legacy))):
            return
        raise PinlineError(f"the Docker engine did not start:\n{self._end_of_log()}\nIts whole log: {self._log}")

    def stop(self) -> None:
        """End it, if it runs, and wait until it has."""
        process = self._process()
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_DOWN_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_DOWN_SECONDS)

    def _comes_up(self, environment: Mapping[str, str]) -> bool:
        command = [
            cache.find_program("dockerd") or "dockerd",
            "--storage-driver=overlay2",
            f"--data-root={self.folder / 'data'}",
            f"--exec-root={self.folder / 'exec'}",
            f"--pidfile={self._pid_file}",
            f"--host={self.address['DOCKER_HOST']}",
        ]
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                command,
                env={**environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends the lane, and the lane ends the engine
            )
        deadline = time.monotonic() + _UP_SECONDS
        while process.poll() is None:
            if _is_up({**environment, **self.address}):
                return True
            if time.monotonic() > deadline:
                process.terminate()
                process.wait(_DOWN_SECONDS)
            time.sleep(0.1)
        return False

    def _with_iptables(self, program: Path) -> dict[str, str]:
        """Put another iptables first on the engine's PATH, for kernels on which the usual one can't do NAT."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        for name in ("iptables", "ip6tables"):
            link = programs / name
            link.unlink(missing_ok=True)
            link.symlink_to(program.with_name(program.name.replace("iptables", name)))
        return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

    def _process(self) -> psutil.Process | None:
        """Return the running engine; a number in an old pid file that is another program's by now does not count."""
        try:
            process = psutil.Process(int(self._pid_file.read_text()))
            return process if f"--pidfile={self._pid_file}" in process.cmdline() else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _end_of_log(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def _is_up(environment: Mapping[str, str]) -> bool:
    return cache.answers(["docker", "version", "--format", "{{.Server.Version}}"], environment)


def exports(environment: Mapping[str, str]) -> str:
    """Return shell lines that set what `environment` has beyond this process's own."""
    changed = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(changed.items()))


def main() -> int:
    """Start and leave running, or stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.compose.engine", description=__doc__.partition("\n")[0])
    parser.add_argument("do", choices=["start", "stop", "env"], help="env: print how it is reached, as shell lines")
    arguments = parser.parse_args()
    own = Own(cache.folder() / "docker")
    try:
        if arguments.do == "stop":
            own.stop()
            return 0
        if arguments.do == "start":
            ensure_engine(own)
        elif not own.runs:
            raise PinlineError("no engine of this lane runs. Try: python -m tests.compose.engine start")
        found = environment(own)
        print(exports(found | plugin.ensure(found, say)), end="")
    except PinlineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
