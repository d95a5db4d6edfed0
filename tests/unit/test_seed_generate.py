"""The generator is a function of events and seed, in bounded memory; its tables are the contract's."""

import hashlib
import tracemalloc
from itertools import islice

import pytest
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from pinline.events import EVENTS, EventType
from seed_data import generate, tables
from seed_data.categories import NAMES

pytestmark = pytest.mark.unit


def digest(events: int, seed: int, chunk: int = generate.CHUNK_EVENTS) -> str:
    made = hashlib.sha256()
    for part in generate.rows(events, seed, chunk):
        for rows in zip(part.pin, part.geo, part.user, strict=True):
            made.update(repr(rows).encode())
    return made.hexdigest()


def test_same_seed_gives_the_same_rows_whatever_the_chunk() -> None:
    assert digest(3_000, 5) == digest(3_000, 5, chunk=700)


def test_other_seed_gives_other_rows() -> None:
    assert digest(500, 5) != digest(500, 6)
    assert generate.fingerprint(500, 5) != generate.fingerprint(500, 6)
    assert generate.fingerprint(500, 5) != generate.fingerprint(501, 5)


def test_rows_of_the_default_database_have_not_changed() -> None:
    """They come from our words and Faker's lists; a change of either is a new data set, and must be meant."""
    first = next(generate.rows(chunk=200))
    made = hashlib.sha256(repr((first.pin, first.geo, first.user)).encode()).hexdigest()
    assert made[:16] == "39fadac9bcce0f2d"


def test_half_a_million_events_are_contiguous_blocks() -> None:
    seen: list[str] = []
    for chunk in generate.rows(500_000):
        assert len(chunk.pin) == generate.CHUNK_EVENTS
        seen += [category for category in dict.fromkeys(row[11] for row in chunk.pin) if category not in seen[-1:]]
    assert seen == list(NAMES)


def test_millions_of_events_come_in_bounded_memory() -> None:
    tracemalloc.start()
    try:
        for chunk in islice(generate.rows(5_000_000), 3):
            assert len(chunk.pin) == generate.CHUNK_EVENTS
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20


@pytest.mark.parametrize("events", [1, 2, 13, 100])
def test_small_databases_exist(events: int) -> None:
    rows = [row for chunk in generate.rows(events) for row in chunk.pin]
    assert [row[0] for row in rows] == list(range(events))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event.name))
def test_tables_have_the_columns_of_the_event_contract(event: EventType) -> None:
    for table in (tables.TABLES[event.name], tables.STAGING[event.name]):
        assert tuple(table.columns.keys()) == event.column_names
        assert [column.name for column in table.primary_key] == [event.key_column]
    statement = str(CreateTable(tables.TABLES[event.name]).compile(dialect=mysql.dialect()))
    assert "CHARSET=utf8mb4" in statement
    assert "AUTO_INCREMENT" not in statement
    if event.name == "geo":
        assert "latitude FLOAT" in statement
        assert "timestamp DATETIME" in statement
