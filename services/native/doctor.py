"""What the native stack takes from this machine, and whether it is there."""

import shutil
from collections.abc import Callable

from native import envfile, preflight, ready
from native.mysql import find_server
from native.ready import problem
from pinline import java
from pinline.errors import PinlineError
from pinline.runtime import Finding
from pinline.settings import Settings, env_file


def machine(settings: Settings) -> list[Finding]:
    """Look at what the native stack takes from this machine, and at the part that nothing else connects to."""
    reason = problem(ready.sink, settings)
    place = f"127.0.0.1:{settings.sink_metrics_port}"
    return [
        _found("Java", "JAVA_HOME", _java_line),
        _found("MariaDB", "PINLINE_LOCAL", lambda: str(find_server(settings).program)),
        _found("disk", "PINLINE_DATA", lambda: _disk_line(settings)),
        env_finding(),
        Finding("sink", place, "SINK_METRICS_PORT", reason is None, reason or "answers"),
    ]


def _found(system: str, setting: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(system, look(), setting, answers=True, detail="found")
    except PinlineError as error:
        return Finding(system, "", setting, answers=False, detail=str(error))


def _java_line() -> str:
    found = java.find()
    return f"{found.program} (Java {found.version})"


def _disk_line(settings: Settings) -> str:
    if texts := preflight.disk_problems(settings):
        raise PinlineError(texts[0])
    folder = next(path for path in (settings.pinline_data, *settings.pinline_data.parents) if path.exists())
    return f"{settings.pinline_data}: {shutil.disk_usage(folder).free / 1e9:.0f} GB free"


def env_finding() -> Finding:
    """Look at `.env`: it is there, and each of its keys is a setting."""
    return _found(".env", "PINLINE_ENV_FILE", _env_line)


def _env_line() -> str:
    file = env_file()
    if not file.exists():
        raise PinlineError(f"{file} is not there. `make up` makes it")
    if unknown := envfile.unknown_keys(file):
        names = ", ".join(f"{key}{f' (did you mean {meant}?)' if meant else ''}" for key, meant in unknown.items())
        raise PinlineError(f"{file} has keys that no setting has: {names}")
    return str(file)
