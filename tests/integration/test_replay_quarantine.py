"""What was set aside comes back when its cause is fixed, and accounting is balanced: real Kafka, sink, S3 and Spark."""

import json
import signal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import cleaning, inspect, tables
from lakehouse.jobs import silver
from pinline.events import USER, EventType
from tests.fixtures.replay import MakePipeline, Pipeline

pytestmark = pytest.mark.integration


@pytest.fixture
def pipeline(make_pipeline: MakePipeline, connect_server: dict[str, Any], spark: SparkSession) -> Pipeline:
    """One partition a topic, nothing in it yet."""
    return make_pipeline(**connect_server)


def user(ind: int, **values: object) -> bytes:
    row = {"ind": ind, "first_name": "Ann", "last_name": "Lee", "age": 20, "date_joined": "2016-01-02T03:04:05"}
    return json.dumps(row | values).encode()


def stricter(lines: DataFrame, event: EventType) -> DataFrame:
    """An older version of the cleaning rules: nobody is 99 years old."""
    cleaned = cleaning.clean(lines, event)
    return cleaned.withColumn(
        "reason", F.when(F.col("raw").contains('"age": 99'), "too old").otherwise(F.col("reason"))
    )


def take_in(pipeline: Pipeline) -> None:
    """The batch's step from S3 to silver, which is all that quarantine and accounting look at."""
    lake = tables.open_lake(pipeline.settings)
    tables.create(lake)
    silver.load(lake, USER, "run")


def accounting(pipeline: Pipeline, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pipeline.run("pinline", "accounting", "--json", code=code))["user"]
    return found


def quarantined(pipeline: Pipeline) -> list[str]:
    return sorted(row["reason"].split(":")[0] for row in inspect.quarantine(pipeline.settings)["user"].to_pylist())


def silver_keys(pipeline: Pipeline) -> list[int]:
    return sorted(row["ind"] for row in inspect.silver(pipeline.settings, "user").to_pylist())


@pytest.mark.timeout(1500)
def test_what_was_set_aside_is_taken_in_when_the_cause_is_fixed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pipeline.sink(strict=True):
        pipeline.send("user", user(1), "1")
        pipeline.send("user", user(2, first_name="refused"), "2")
        pipeline.send("user", user(3, age=99), "3")
        pipeline.send("user", b"null")
        pipeline.send("user", user(1, first_name="Bo"), "1")
        pipeline.run("pinline", "wait")
    with monkeypatch.context() as older:
        older.setattr(silver, "clean", stricter)
        take_in(pipeline)
    assert quarantined(pipeline) == ["key conflict", "too old"]
    found = accounting(pipeline, code=1)
    assert found["missing_keys"] == ["2"]
    assert (found["dead_letters"], found["resent_or_foreign"]) == (1, 1)

    # Now the causes are fixed: neither the sink nor the rules are the older ones any more
    with pipeline.sink():
        pipeline.run(
            "pinline", "replay", "--kind", "quarantine", code=-signal.SIGKILL, pinline_fault="after:replay:sent"
        )
        assert "2 sent, 0 were sent before" in pipeline.run("pinline", "replay", "--kind", "quarantine")
        assert "0 sent, 2 were sent before" in pipeline.run("pinline", "replay", "--kind", "quarantine")
        assert "1 sent, 0 were sent before" in pipeline.run("pinline", "replay", "--kind", "dlq")
        pipeline.run("pinline", "wait")
    take_in(pipeline)
    assert silver_keys(pipeline) == [1, 2, 3]
    # a key conflict's cause is the event that was first: its copy is in conflict as well
    assert quarantined(pipeline) == ["key conflict", "key conflict", "too old"]
    found = accounting(pipeline)
    assert found["balanced"]
    assert found["resent_or_foreign"] == 1 + 3, "the null, and three copies"
    assert (found["dead_letters"], found["ignored_nulls"], found["lines"]) == (1, 1, 6)

    said = pipeline.run("pinline", "replay", "--kind", "quarantine")
    assert "0 sent, 2 were sent before" in said
    assert "1 came back" in said
