"""Processes of a stack, found by the marker that each carries in its environment.

supervisord that was killed leaves its services behind, and their ports taken; the marker tells which they are.
"""

import contextlib
import os
from collections.abc import Collection

import psutil

from native import layout
from pinline.settings import Settings


def find(settings: Settings) -> list[psutil.Process]:
    """Return every process of this user that belongs to the stack, supervisord and its services' children too."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    wanted = str(settings.pinline_data)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in mine and process.environ().get(layout.MARKER) == wanted:
                found.append(process)
    return found


def end(processes: Collection[psutil.Process], seconds: float) -> list[psutil.Process]:
    """End processes: ask, wait up to `seconds`, then kill. Returns those that would not go."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _gone, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _gone, alive = psutil.wait_procs(alive, timeout=10)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def tree_memory(pid: int) -> int:
    """Return the resident memory in bytes of a process and its descendants; 0 if it is gone."""
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total
