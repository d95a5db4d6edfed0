"""Upkeep of the streaming side's tables: files are joined, no row is lost, and a stream that reads one goes on."""

from typing import Any

import pytest
from pyspark.sql import Row

from lakehouse import tables
from lakehouse.stream.upkeep import Upkeep
from lakehouse.tables import Lake
from pinline.settings import Settings

pytestmark = pytest.mark.integration

TABLE, COPY = "stream.numbers", "notebook.copy"
FILES = 4


class Clock:
    """Time that the test sets, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lake(fresh_lake_settings: Settings) -> Lake:
    return tables.open_lake(fresh_lake_settings)


def append(lake: Lake, upkeep: Upkeep, *numbers: int) -> None:
    """Append a file a number, as the streaming job does a batch."""
    for number in numbers:
        lake.append(TABLE, [(number,)], "number int", "at")
        upkeep.added(TABLE)


def copied(lake: Lake) -> list[int]:
    """What a stream that reads the table has seen, after all that is there now."""
    reader: Any = lake.spark.readStream.format("delta").load(lake.path(TABLE)).writeStream.format("delta")
    checkpoint = lake.path(COPY) + "_checkpoint"
    query = reader.option("checkpointLocation", checkpoint).trigger(availableNow=True).start(lake.path(COPY))
    assert query.awaitTermination(120)
    return sorted(row.number for row in lake.read(COPY).collect())


def detail(lake: Lake) -> Row:
    return lake.sql("DESCRIBE DETAIL {table}", TABLE).collect()[0]


def test_many_small_files_become_one_and_a_stream_of_the_table_sees_each_row_once(lake: Lake) -> None:
    upkeep = Upkeep(lake, files=FILES, clock=Clock())
    append(lake, upkeep, *range(FILES - 1))
    upkeep.run()
    assert detail(lake).numFiles == FILES - 1, "too few files to be worth it"
    assert copied(lake) == list(range(FILES - 1))
    append(lake, upkeep, FILES - 1)
    upkeep.run()
    assert detail(lake).numFiles == 1
    assert upkeep.due() == []
    append(lake, upkeep, FILES)
    assert copied(lake) == list(range(FILES + 1))
    assert sorted(row.number for row in lake.read(TABLE).collect()) == list(range(FILES + 1))


def test_after_a_quarter_of_an_hour_a_tenth_of_the_files_is_enough(lake: Lake) -> None:
    clock = Clock()
    upkeep = Upkeep(lake, files=20, clock=clock)
    append(lake, upkeep, 1, 2)
    assert upkeep.due() == []
    clock.now = 901.0
    upkeep.run()
    assert detail(lake).numFiles == 1
