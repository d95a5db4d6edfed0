"""What the batch path has to end with, whatever its back ends are: silver and answers of a second engine, and accounts
that balance.
"""

from typing import Any

import duckdb
import pandas as pd
from pyspark.sql import SparkSession

from pinline.events import EVENTS
from pinline.settings import Settings
from tests.e2e import oracle


def rows(settings: Settings, place: str) -> pd.DataFrame:
    """All rows of a table, read by a session that isn't left behind as this process's own."""
    spark = SparkSession.builder.remote(settings.spark_remote or "").create()
    try:
        return spark.read.format("delta").load(f"s3a://{settings.bucket}/lake/{place}").toPandas()
    finally:
        spark.stop()


def silver(settings: Settings, event: str) -> pd.DataFrame:
    """An event's silver rows, by key."""
    return rows(settings, f"silver/{event}").sort_values("ind").reset_index(drop=True)


def require_silver(settings: Settings, source: duckdb.DuckDBPyConnection, events: int) -> None:
    """Silver is the cleaning rules applied to the source's `events` events, row by row."""
    for event in EVENTS:
        expected = source.execute(f'SELECT * FROM "{event.name}" ORDER BY ind').df()
        found = silver(settings, event.name).drop(columns=["_object", "_line"])
        assert len(found) == events
        for frame in (expected, found):
            if event.name == "geo":
                frame["coordinates"] = frame["coordinates"].map(list)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_names=True)


def require_answers(found: dict[str, list[dict[str, Any]]], source: duckdb.DuckDBPyConnection) -> None:
    """The nine answers are the second engine's, and none is empty."""
    expected = oracle.answers(source)
    assert list(found) == ["q1", "q2", "q3a", "q3b", "q4", "q5", "q6", "q7", "q8"]
    for question, answer in expected.items():
        assert answer, question
        assert oracle.ordered(found[question]) == answer, question


def require_balanced(accounting: dict[str, Any], events: int) -> None:
    """Each event was posted once, and is one row."""
    assert set(accounting) == {event.name for event in EVENTS}
    for event, balance in accounting.items():
        assert balance["balanced"], (event, balance)
        assert (balance["acknowledged"], balance["silver"], balance["lines"]) == (events,) * 3
        assert (balance["duplicates"], balance["quarantined"], balance["resent_or_foreign"]) == (0, 0, 0)


def require_traced(places: dict[str, Any]) -> None:
    """Of one key, each event is in every place, and the places name each other."""
    assert set(places) == {event.name for event in EVENTS}
    for event, place in places.items():
        ((partition, offset),) = place["kafka"]
        ((key, line),) = place["objects"]
        (entry,) = place["acknowledged"]
        assert place["source"] is not None
        assert (entry["event"], entry["partition"], entry["position"]) == (event, str(partition), str(offset))
        assert (place["silver"]["_object"], place["silver"]["_line"]) == (key, line)
