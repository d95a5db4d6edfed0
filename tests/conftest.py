"""Fixtures shared by all layers live in tests/fixtures, one module a kind."""

import atexit
import os

_KINDS = (
    "backends",
    "lake",
    "kinesis",
    "gateway",
    "sink",
    "emulator",
    "cloud",
    "replay",
    "spark_queries",
    "stream",
    "notebooks",
    "workspace",
    "airflow",
    "browser",
)
pytest_plugins = ["tests.order", *(f"tests.fixtures.{kind}" for kind in _KINDS)]


@atexit.register
def _end_with_the_summary() -> None:
    """DuckDB's binding complains at exit about types that Hypothesis still refers to, after pytest's summary."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
