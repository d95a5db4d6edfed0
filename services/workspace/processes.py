"""A task's process: a process group of its own, with its output in a file that can't fill the disk."""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARKER = "PINLINE_WORKSPACE_TASK"
"""An environment variable that a task's processes carry; its value is the folder of the task."""

KEPT_BYTES = 10 * 2**20
"""How much of a task's output is kept: its beginning, and beyond that the last `_TAIL_BYTES`."""

_TAIL_BYTES = 64 * 2**10
_CHUNK = 64 * 2**10
_KILLED_SECONDS = 10.0


class TaskProcess:
    """A process that works; made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, kept: int) -> None:
        self.pid = process.pid
        self._process = process
        self._copy = asyncio.create_task(_copy(process, log, kept))

    async def wait(self) -> int:
        """Wait for its end, and end what it left in its group. Returns the exit code, negative for a signal."""
        code = await self._process.wait()
        _signal(self.pid, signal.SIGKILL)
        await self._copy
        return code

    async def end(self, grace_seconds: float) -> None:
        """Ask it to end, and end it by force after `grace_seconds`."""
        _signal(self.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._process.wait()
        _signal(self.pid, signal.SIGKILL)
        await self._process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KILLED_SECONDS):
                await self._copy


async def start(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, kept: int = KEPT_BYTES
) -> TaskProcess:
    """Start a process in the working directory `folder`; what it prints goes to `log`, bounded."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    return TaskProcess(process, log, kept)


def leftovers(marker: str) -> list[psutil.Process]:
    """Return this user's processes that carry the marker of a task."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARKER) == marker:
                found.append(process)
    return found


def end_leftovers(marker: str, grace_seconds: float = 5) -> int:
    """End the processes of a task whose service is gone; return how many there were."""
    found = leftovers(marker)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=grace_seconds)
    for process in {*alive, *leftovers(marker)}:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_KILLED_SECONDS)
    return len(found)


async def _copy(process: asyncio.subprocess.Process, log: Path, kept: int) -> None:
    """Write a process's output: the first `kept` bytes as they come, of the rest the end."""
    assert process.stdout is not None  # noqa: S101  # it was started with a pipe
    left, dropped = kept, 0
    tail: deque[bytes] = deque()
    tail_bytes = 0
    with log.open("ab", buffering=0) as out:
        while chunk := await process.stdout.read(_CHUNK):
            head, rest = chunk[:left], chunk[left:]
            if head:
                out.write(head)
                left -= len(head)
            if rest:
                tail.append(rest)
                tail_bytes += len(rest)
            while tail and tail_bytes - len(tail[0]) >= _TAIL_BYTES:
                gone = len(tail.popleft())
                tail_bytes -= gone
                dropped += gone
        if tail:
            out.write(f"\n... the output is cut here: {dropped:,} bytes are left out.\n".encode())
            out.writelines(tail)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
