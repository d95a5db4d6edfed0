"""A whole stack under load: the user's commands in the background, and the accounting that ends every fault test."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.spool import Spool
from pinline import ledger
from pinline.settings import ROOT
from tests.fixtures.backends import Stack

EMULATE = ("-m", "emulator.user_posting_emulation")
BATCH = ("-m", "lakehouse.batch")


class Command:
    """A command of the user's, at work in the background; its output is in a file."""

    def __init__(self, stack: Stack, *words: str) -> None:
        self.log = stack.settings.pinline_data / "log" / f"{words[1]}.out"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env={**stack.env, "PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self.process.poll() is not None

    @property
    def said(self) -> str:
        """Its output so far."""
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float = 180) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def command(stack: Stack, *words: str) -> Iterator[Command]:
    """A command in the background, killed at the end of the block if it is still at work."""
    started = Command(stack, *words)
    try:
        yield started
    finally:
        started.kill()


def acknowledged(stack: Stack) -> int:
    """How many records the ledger holds."""
    file: Path = stack.settings.emulator_dir / ledger.FILE_NAME
    return file.read_bytes().count(b"\n") if file.exists() else 0


def spooled(stack: Stack) -> int:
    """How many records the emulator's spools hold."""
    return sum(len(Spool(file)) for file in (stack.settings.emulator_dir / "spool").glob("*.jsonl"))


def accounting(stack: Stack) -> tuple[bool, dict[str, Any]]:
    """Return whether everything accepted is where it has to be, and the balance of each event type."""
    done = stack.run("-m", "pinline", "accounting", "--json", check=False)
    if not done.stdout.startswith("{"):
        return False, {"said": done.stdout + done.stderr}
    return done.returncode == 0, json.loads(done.stdout)
