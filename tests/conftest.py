"""Fixtures shared by all layers live in tests/fixtures, one module a kind."""

pytest_plugins = ["tests.fixtures.backends", "tests.fixtures.lake", "tests.fixtures.gateway", "tests.fixtures.kinesis"]
