"""What processes use: CPU time and memory, their children's included."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil

_EVERY_S = 0.25
_MB = 2**20


def megabytes(process: psutil.Process) -> int:
    """Return the resident memory of a process and its children."""
    return int(sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / _MB)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time that a process and its children have used."""
    times = [p.cpu_times() for p in [process, *process.children(recursive=True)]]
    return float(sum(t.user + t.system for t in times))


def shared_megabytes(processes: Iterable[psutil.Process]) -> float:
    """Return the memory of all processes together, pages that several share counted once (PSS; else RSS)."""
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            found = process.memory_full_info()
            total += getattr(found, "pss", found.rss)
    return total / _MB


class Peak:
    """The largest memory of a process while it was watched."""

    def __init__(self) -> None:
        self.megabytes = 0


@contextmanager
def watching(pids: Iterable[Callable[[], int]]) -> Iterator[list[Peak]]:
    """Watch the memory of processes, each named by a function that returns its pid, until the end of the block."""
    watched = [(pid, Peak()) for pid in pids]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_S):
            for pid, peak in watched:
                with suppress(psutil.Error, OSError):
                    peak.megabytes = max(peak.megabytes, megabytes(psutil.Process(pid())))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield [peak for _, peak in watched]
    finally:
        ended.set()
        thread.join()
