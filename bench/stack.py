"""The whole embedded stack: how long `up` takes when everything has been there before, and its memory."""

import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Goal, Row, Size
from bench.processes import shared_megabytes
from native import leftovers
from tests.fixtures.backends import Stack, embedded_stack

MEMORY_GOAL = Goal(most=3.5 * 1024)
"""Of the pipeline, without Airflow and the workspace."""
_ALL = Goal(most=5 * 1024)


def rows(folder: Path, _size: Size) -> Iterator[Row]:
    """Yield seconds and megabytes."""
    begun = time.perf_counter()
    with embedded_stack(folder) as stack:
        first = time.perf_counter() - begun
        stack.down()
        begun = time.perf_counter()
        stack.up()
        again = time.perf_counter() - begun
        used = memory(stack)
    yield Row("stack", "up, warm", again, "s", goal=Goal(most=60), note=f"the first, which seeds: {first:.1f} s")
    yield Row("stack", "memory after up", used, "MB", goal=_ALL)


def memory(stack: Stack) -> float:
    """Return the megabytes of all processes of the stack together."""
    return shared_megabytes(leftovers.find(stack.settings))
