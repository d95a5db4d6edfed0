"""Which runtime has the stack: containers (Docker Compose) or processes of this machine. Standard library only: setting
up asks as well, before anything is installed.

RUNTIME=docker or RUNTIME=native says it. With `auto` the first of these decides: a stack of this checkout that runs;
the data that an earlier one keeps; whether Docker answers.
"""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from pinline.errors import SettingsError, StateError

Name = Literal["docker", "native"]
NAMES = ("auto", "docker", "native")

ROOT = Path(__file__).resolve().parent.parent
WHERE: dict[Name, str] = {"docker": "in containers", "native": "as processes of this machine"}
_OTHER: dict[Name, Name] = {"docker": "native", "native": "docker"}

PROJECT_LABEL = "com.docker.compose.project"
CHECKOUT_LABEL = f"{PROJECT_LABEL}.working_dir"
"""What Compose writes on everything that it makes, and on containers."""

_OWNER_FILE = "runtime"
_LONGEST_SOCKET_PATH = 100
"""Linux takes 107 bytes."""
_SECONDS = 20.0


@dataclass(frozen=True)
class Choice:
    """A runtime, and why it is that one."""

    name: Name
    why: str


@dataclass(frozen=True)
class Look:
    """What there is to be found out, each by a call, so that nothing is asked that doesn't matter."""

    native_runs: Callable[[], bool]
    docker_runs: Callable[[], bool]
    owner: Callable[[], Name | None]
    """The runtime whose data is kept."""
    docker_problem: Callable[[], str | None]
    """Why Docker can't be used, None if it can."""


def choose(wanted: str, look: Look) -> Choice:
    """Return the runtime for RUNTIME=`wanted`. Raises SettingsError on a value that is none."""
    if wanted not in NAMES:
        raise SettingsError(f"RUNTIME has the value {wanted!r}: valid are {', '.join(NAMES)}")
    if wanted != "auto":
        name = cast("Name", wanted)
        return Choice(name, f"RUNTIME={name}: the stack runs {WHERE[name]}")
    runs: tuple[tuple[Name, Callable[[], bool]], ...] = (("native", look.native_runs), ("docker", look.docker_runs))
    for name, is_running in runs:
        if is_running():
            return Choice(name, f"The stack runs {WHERE[name]} already")
    if owner := look.owner():
        return Choice(owner, f"The stack's data was made {WHERE[owner]}, so it runs there (RUNTIME says otherwise)")
    if problem := look.docker_problem():
        return Choice("native", f"{problem}: the stack runs {WHERE['native']} (RUNTIME=docker for containers)")
    return Choice("docker", "Docker answers: the stack runs in containers (RUNTIME=native for local processes)")


def chosen(wanted: str, data: Path, project: str) -> Choice:
    """Return the runtime of the stack that keeps its data in `data` and has the Compose project `project`."""
    return choose(
        wanted,
        Look(
            native_runs=lambda: native_runs(data),
            docker_runs=lambda: docker_runs(project),
            owner=lambda: owner(data),
            docker_problem=docker_problem,
        ),
    )


def of_checkout() -> Choice:
    """Return the runtime of the stack that the `.env` of this checkout (PINLINE_ENV_FILE) is for."""
    file = ROOT / os.environ.get("PINLINE_ENV_FILE", ".env")
    data = ROOT / Path(setting("PINLINE_DATA", ".local/data", file)).expanduser()
    return chosen(setting("RUNTIME", "auto", file), data, project_name(file))


def setting(name: str, default: str, file: Path) -> str:
    """Return one setting, of the environment or of the `.env` named `file`, without any other being looked at."""
    if value := os.environ.get(name):
        return value
    text = file.read_text() if file.exists() else ""
    found = re.findall(rf"^(?:export\s+)?{name}\s*=[ \t]*(.*)$", text, re.MULTILINE)
    value = re.sub(r"\s+#.*", "", found[-1]).strip().strip("\"'") if found else ""
    return value or default


def project_name(file: Path) -> str:
    """Return the name of the Compose project, which tells stacks apart: COMPOSE_PROJECT_NAME, by default `pinline`."""
    return setting("COMPOSE_PROJECT_NAME", "pinline", file)


def native_runs(data: Path) -> bool:
    """Tell whether the supervisor of the native stack in `data` answers."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(run_dir(data) / "supervisor.sock")) == 0


def run_dir(data: Path) -> Path:
    """Return the native stack's folder of sockets: `run`, or one in the temporary folder if that is too deep."""
    folder = data / "run"
    if len(os.fsencode(folder / "supervisor.sock.12345678")) <= _LONGEST_SOCKET_PATH:
        return folder
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"pinline-{os.geteuid()}-{digest}"


def docker_runs(project: str) -> bool:
    """Tell whether a container of this checkout's Compose project runs."""
    if shutil.which("docker") is None:
        return False
    labels = (f"{PROJECT_LABEL}={project}", f"{CHECKOUT_LABEL}={ROOT}")
    filters = [word for label in labels for word in ("--filter", f"label={label}")]
    return bool(_asked("docker", "ps", "--quiet", *filters)[1].strip())


def docker_problem() -> str | None:
    """Return why Docker can't be used here, as the beginning of a sentence; None if it can."""
    if shutil.which("docker") is None:
        return "There is no Docker here"
    if _asked("docker", "compose", "version")[0]:
        return "Docker has no Compose plugin"
    code, out, said = _asked("docker", "info", "--format", "{{.ServerVersion}}")
    if code or not out.strip():
        last = (said.strip() or "no answer").splitlines()[-1]
        return f"Docker doesn't answer ({last.removeprefix('ERROR: ').rstrip('.')})"
    return None


def owner(data: Path) -> Name | None:
    """Return the runtime that the data in `data` belongs to, None if nothing is kept there."""
    try:
        name = (data / _OWNER_FILE).read_text().strip()
    except OSError:
        name = "native" if (data / "kafka" / "cluster.id").exists() else ""
    return cast("Name", name) if name in NAMES[1:] else None


def check_owner(data: Path, name: Name) -> None:
    """Raise StateError if `data` is not the runtime `name`'s: the emulator's ledger tells what one's Kafka accepted."""
    found = owner(data)
    if found not in (None, name):
        raise StateError(
            f"{data} belongs to the stack {WHERE[_OTHER[name]]}: what was posted is in its Kafka, not in this one's.\n"
            f"Go on with it: RUNTIME={found}. Or give it up: make reset RUNTIME={found}. "
            "Or have both: another PINLINE_DATA in .env"
        )


def take(data: Path, name: Name) -> None:
    """Note that what is kept in `data` belongs to the runtime `name`, which is about to start its first service."""
    check_owner(data, name)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data / _OWNER_FILE).write_text(f"{name}\n")


def release(data: Path) -> None:
    """Forget whose the data was: it is deleted."""
    (data / _OWNER_FILE).unlink(missing_ok=True)


def _asked(*command: str) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it said on both outputs."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr
