"""What the Compose lane keeps between runs, outside the repository, and the settings that it alone has.

PINLINE_CACHE   the folder (default `~/.cache/pinline`): engine, Compose, Java parts, build contexts
CA_BUNDLE       certificates that package registries are checked with (default: SSL_CERT_FILE, if set)
STANDINS        `0`: third-party images are pulled, none is built here
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pinline.errors import PinlineError, SettingsError

ROOT = Path(__file__).resolve().parents[2]


def folder() -> Path:
    """Return the cache folder, made if need be. Raises SettingsError when it lies in the repository."""
    found = Path(os.environ.get("PINLINE_CACHE") or Path.home() / ".cache" / "pinline").expanduser().resolve()
    if found.is_relative_to(ROOT):
        raise SettingsError(f"PINLINE_CACHE is {found}, inside the repository: it has to be a folder outside {ROOT}")
    found.mkdir(parents=True, exist_ok=True)
    return found


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold a lock of the cache folder: of two lanes at once, one makes a thing and the other finds it made."""
    with (folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ca_bundle() -> Path | None:
    """Return the certificates that builds are given, if any. Raises SettingsError when CA_BUNDLE names no file."""
    named = os.environ.get("CA_BUNDLE")
    if named and not Path(named).is_file():
        raise SettingsError(f"CA_BUNDLE is {named!r}: that is no file. Leave it out if no registry needs it")
    found = named or os.environ.get("SSL_CERT_FILE")
    return Path(found) if found and Path(found).is_file() else None


def wants_standins() -> bool:
    """Whether stand-ins are built; with STANDINS=0 the official images are pulled."""
    return os.environ.get("STANDINS", "1") != "0"


def find_program(name: str) -> str | None:
    """Return where a program is, also one that only root has on PATH."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))


def run(
    command: Iterable[object], doing: str, environment: Mapping[str, str] | None = None, where: Path | None = None
) -> str:
    """Run a command and return its output. Raises PinlineError with what was being done and the end of the output."""
    words = [str(word) for word in command]
    result = subprocess.run(
        words,
        cwd=where,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        raise PinlineError(
            f"{doing} failed (exit code {result.returncode}):\n  {' '.join(words)}\n{result.stdout[-4000:]}"
        )
    return result.stdout


def answers(command: Iterable[object], environment: Mapping[str, str] | None = None) -> bool:
    """Whether a command can be run and succeeds."""
    try:
        return (
            subprocess.run(
                [str(word) for word in command], env=environment, capture_output=True, check=False, timeout=60
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def install(packages: Iterable[str], what_for: str) -> None:
    """Install Debian packages. Raises PinlineError that names them where that can't be done."""
    names = list(packages)
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid():
        raise PinlineError(
            f"{what_for} needs {', '.join(names)}: install what your system calls so (as root of a Debian, it is "
            f"done here: apt-get install {' '.join(names)})"
        )
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([apt, "update", "-q"], "reading package lists", quiet)
    # services of the packages are not started: invoke-rc.d asks this file
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        run([apt, "install", "-y", "-q", "--no-install-recommends", *names], f"installing {', '.join(names)}", quiet)
    finally:
        if ours:
            policy.unlink()
