"""Fixtures shared by all layers live in tests/fixtures, one module a kind."""

import atexit
import os

pytest_plugins = [
    "tests.fixtures.backends",
    "tests.fixtures.lake",
    "tests.fixtures.gateway",
    "tests.fixtures.cloud",
    "tests.fixtures.replay",
]


@atexit.register
def _end_with_the_summary() -> None:
    """DuckDB's binding complains at exit about types that Hypothesis still refers to, after pytest's summary."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
