"""How a service is started: command, environment and generated configuration, as values made from settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from native import layout
from pinline.settings import Settings, env_file


@dataclass(frozen=True)
class Launch:
    """All that starting one service takes."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of the caller."""
    files: Mapping[Path, str] = field(default_factory=dict)
    """Generated configuration, with its text. May hold passwords."""
    folders: tuple[Path, ...] = ()
    """Folders that have to be there."""
    reads_settings: bool = False
    """Whether the process reads the settings itself."""


def render(file: Path, values: Mapping[str, object]) -> str:
    """Return a configuration file's text with its `${names}` replaced. Raises KeyError on a name without a value."""
    return Template(file.read_text()).substitute(values)


def write(launch: Launch) -> None:
    """Make the folders, and write the generated configuration, which only this user can read."""
    for folder in launch.folders:
        layout.make_private(folder)
    for file, text in launch.files.items():
        layout.make_private(file.parent)
        part = file.with_name(f"{file.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        part.replace(file)


def stack_environment(settings: Settings) -> dict[str, str]:
    """Return what every process of a stack has in its environment: which settings it reads, which stack it is of."""
    return {
        layout.MARKER: str(settings.pinline_data),
        "PINLINE_ENV_FILE": str(env_file()),
        "PINLINE_DATA": str(settings.pinline_data),
        "PINLINE_LOCAL": str(settings.pinline_local),
        "PYTHONUNBUFFERED": "1",
    }


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the caller's environment with what every process of a stack has in it."""
    return {**os.environ, **stack_environment(settings)}
