"""Where the embedded stack keeps things: every folder of one stack lies under PINLINE_DATA."""

import os
from pathlib import Path

from pinline import runtime_choice
from pinline.settings import ROOT, Settings

MARKER = "PINLINE_STACK"
"""An environment variable that every process of a stack carries; its value is the stack's data folder."""


def service_dir(settings: Settings, service: str) -> Path:
    """Return the folder of one service's data and generated configuration."""
    return settings.pinline_data / service


def log_file(settings: Settings, service: str) -> Path:
    """Return the file that a service's output goes to; older ones end in `.1`, `.2`."""
    return settings.pinline_data / "log" / f"{service}.log"


def run_dir(settings: Settings) -> Path:
    """Return the folder of sockets and pid files: `run`, or a short one in the temporary folder if that is too deep."""
    return runtime_choice.run_dir(settings.pinline_data)


def template(service: str, name: str) -> Path:
    """Return the file of configuration that the checkout holds for a service that is not ours."""
    return ROOT / "services" / service / name


def make_private(folder: Path) -> None:
    """Make a folder that only this user can enter. One that belongs to someone else is refused."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user: set PINLINE_DATA in .env to a folder of yours")
