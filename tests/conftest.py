"""Fixtures shared by all layers live in tests/fixtures, one module a kind."""

_KINDS = ("backends", "lake", "gateway", "sink", "emulator")
pytest_plugins = [f"tests.fixtures.{kind}" for kind in _KINDS]
