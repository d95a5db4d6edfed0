"""The batch path from the database to the answers, each step as a user types it, against a second engine.

Twice: all 11,154 events with one partition and the shipped sink configuration, which goes on to what may happen
afterwards, and 1,200 events with three partitions and the course's own configuration (an object a record).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from pinline import aws
from pinline.events import EVENTS, PIN
from pinline.mysql import reader_engine
from pinline.settings import ROOT
from tests.e2e import oracle
from tests.fixtures.backends import BATCH_PATH, Stack, embedded_stack, unique_user_id
from tests.fixtures.http import HTTP

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KAFKA_JSON = {"Content-Type": "application/vnd.kafka.json.v2+json"}


@dataclass(frozen=True)
class Posted:
    """A stack whose every event was posted, once, and taken into the lake."""

    stack: Stack
    events: int
    source: duckdb.DuckDBPyConnection
    """The source's rows, cleaned by another engine."""


@dataclass(frozen=True)
class Course:
    """How the stack is set up."""

    events: int
    partitions: int
    course_configuration: bool


ALL = pytest.param(Course(11_154, 1, False), id="all-events-shipped-sink")
COURSE = pytest.param(Course(1_200, 3, True), id="three-partitions-course-sink")
afterwards = pytest.mark.parametrize("posted", [ALL], indirect=True)


@pytest.fixture(scope="module", params=[ALL, COURSE])
def posted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posted]:
    course: Course = request.param
    folder = tmp_path_factory.mktemp("stack")
    settings: dict[str, Any] = {"kafka_partitions": course.partitions}
    if course.course_configuration:
        user, file = unique_user_id(), folder / "course.properties"
        text = (ROOT / "tests/data/course-s3-sink.properties").read_text()
        file.write_text(text.replace("<UserId>", user))
        settings |= {"user_id": user, "sink_config": file}
    with embedded_stack(folder, *BATCH_PATH, **settings) as stack:
        stack.run("-m", "seed_data", "--events", str(course.events))
        stack.run("-m", "emulator.user_posting_emulation", "--order", "sequential")
        take_in(stack)
        yield Posted(stack, course.events, oracle.source(reader_engine(stack.settings)))


def take_in(stack: Stack) -> str:
    stack.run("-m", "pinline", "wait")
    return stack.run("-m", "lakehouse.batch").stdout


def accounting(stack: Stack, code: int = 0) -> dict[str, Any]:
    done = stack.run("-m", "pinline", "accounting", "--json", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def results(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    found = json.loads(stack.run("-m", "lakehouse.results", "--format", "json").stdout)
    return {question: oracle.ordered(rows) for question, rows in found.items()}


def silver(stack: Stack, event: str) -> pd.DataFrame:
    return rows(stack, f"silver/{event}").sort_values("ind").reset_index(drop=True)


def rows(stack: Stack, place: str) -> pd.DataFrame:
    """All rows of a table, read by a session that isn't left behind as this process's own."""
    spark = SparkSession.builder.remote(stack.settings.spark_remote or "").create()
    try:
        return spark.read.format("delta").load(f"s3a://{stack.settings.bucket}/lake/{place}").toPandas()
    finally:
        spark.stop()


def test_silver_is_the_cleaning_rules_applied_to_the_source_row_by_row(posted: Posted) -> None:
    for event in EVENTS:
        expected = posted.source.execute(f'SELECT * FROM "{event.name}" ORDER BY ind').df()
        found = silver(posted.stack, event.name).drop(columns=["_object", "_line"])
        assert len(found) == posted.events
        for frame in (expected, found):
            if event.name == "geo":
                frame["coordinates"] = frame["coordinates"].map(list)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_names=True)


def test_the_nine_answers_are_those_of_another_engine(posted: Posted) -> None:
    expected = oracle.answers(posted.source)
    found = results(posted.stack)
    assert list(found) == ["q1", "q2", "q3a", "q3b", "q4", "q5", "q6", "q7", "q8"]
    for question, rows in expected.items():
        assert rows, question
        assert found[question] == rows, question


def test_accounting_is_balanced(posted: Posted) -> None:
    for event, balance in accounting(posted.stack).items():
        assert balance["balanced"], (event, balance)
        assert (balance["acknowledged"], balance["silver"], balance["lines"]) == (posted.events,) * 3
        assert (balance["duplicates"], balance["quarantined"], balance["resent_or_foreign"]) == (0, 0, 0)


def test_every_event_can_be_traced_through_every_place(posted: Posted) -> None:
    ind = posted.events - 1
    for event, place in json.loads(posted.stack.run("-m", "pinline", "trace", str(ind), "--json").stdout).items():
        ((partition, offset),) = place["kafka"]
        ((key, line),) = place["objects"]
        (entry,) = place["acknowledged"]
        assert place["source"] is not None
        assert (entry["event"], entry["partition"], entry["position"]) == (event, str(partition), str(offset))
        assert (place["silver"]["_object"], place["silver"]["_line"]) == (key, line)


@afterwards
def test_a_second_batch_finds_nothing_new(posted: Posted) -> None:
    assert "nothing new" in take_in(posted.stack)


@afterwards
def test_a_second_emulation_changes_no_answer_and_every_copy_is_a_duplicate(posted: Posted) -> None:
    before, silver_before = results(posted.stack), silver(posted.stack, "pin")
    posted.stack.run(
        "-m", "emulator.user_posting_emulation", "--order", "sequential", "--restart", "--batch-size", "50"
    )
    take_in(posted.stack)
    pd.testing.assert_frame_equal(silver(posted.stack, "pin"), silver_before)
    assert results(posted.stack) == before
    for balance in accounting(posted.stack).values():
        assert balance["balanced"]
        assert (balance["silver"], balance["duplicates"]) == (posted.events, posted.events)


@afterwards
def test_what_can_not_be_understood_is_quarantined_with_its_reason_and_the_run_goes_on(posted: Posted) -> None:
    stack = posted.stack
    good = dict.fromkeys(PIN.column_names) | {"index": 900_000, "follower_count": "3k"}
    records = [
        {},
        good | {"index": "seven"},
        good | {"colour": "red"},
        {name: value for name, value in good.items() if name != "title"},
        good | {"follower_count": "many"},
        good | {"index": 0},
        good,
    ]
    topic = PIN.topic(stack.settings.user_id)
    sent = HTTP.post(
        f"{stack.settings.api_invoke_url}/topics/{topic}",
        headers=KAFKA_JSON,
        json={"records": [{"value": record} for record in records]},
    )
    assert [offset["error_code"] for offset in sent.json()["offsets"]] == [None] * len(records)
    take_in(stack)
    quarantined = rows(stack, "quarantine/records")
    reasons = sorted(quarantined[quarantined["event"] == "pin"]["reason"])
    expected = ["empty object", "key conflict", "missing column", "unknown column", "unparseable", "wrong type"]
    assert [reason.startswith(start) for reason, start in zip(reasons, expected, strict=True)] == [True] * 6, reasons
    balance = accounting(stack)["pin"]
    assert balance["balanced"]
    assert (balance["silver"], balance["quarantined"]) == (posted.events + 1, 6)
    assert balance["resent_or_foreign"] == len(records)


@afterwards
def test_down_and_up_keeps_everything(posted: Posted) -> None:
    stack = posted.stack
    before = results(stack)
    stack.down()
    assert stack.processes() == []
    stack.up(*BATCH_PATH)
    assert "nothing new" in take_in(stack)
    assert results(stack) == before
    assert all(balance["balanced"] for balance in accounting(stack).values())


@afterwards
def test_accounting_names_a_deleted_object_and_a_deleted_silver_row(posted: Posted) -> None:
    stack = posted.stack
    s3 = aws.s3_client(stack.settings)
    # neither the first nor the last of its partition: those the sink would write again
    (deleted,) = silver(stack, "geo").query(f"ind == {posted.events // 2}")["_object"]
    s3.delete_object(Bucket=stack.settings.bucket, Key=deleted)
    stack.run("-m", "lakehouse.sql", "DELETE FROM silver.user WHERE ind = 17")
    found = accounting(stack, code=1)
    assert found["pin"]["balanced"]
    assert not found["geo"]["balanced"]
    assert found["geo"]["offsets_not_in_s3"]
    assert any(deleted in line for line in found["geo"]["silver_rows_without_a_line"])
    assert not found["user"]["balanced"]
    assert found["user"]["missing_keys"] == ["17"]


@afterwards
def test_the_checkout_is_clean(posted: Posted) -> None:
    assert not Path(ROOT / "metastore_db").exists()
    assert not Path(ROOT / "spark-warehouse").exists()
