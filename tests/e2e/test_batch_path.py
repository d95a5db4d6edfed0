"""The batch path from the database to the answers, each step as a user types it, against a second engine.

All 11,154 events, with one partition and the shipped sink configuration, and what may happen afterwards. Three
partitions and the course's own configuration are in `test_switch.py`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from pinline import aws
from pinline.events import PIN
from pinline.mysql import reader_engine
from pinline.settings import ROOT
from tests.e2e import agreement, oracle
from tests.fixtures.backends import BATCH_PATH, Stack, embedded_stack
from tests.fixtures.http import HTTP

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

COUNT = 11_154
KAFKA_JSON = {"Content-Type": "application/vnd.kafka.json.v2+json"}


@dataclass(frozen=True)
class Posted:
    """A stack whose every event was posted, once, and taken into the lake."""

    stack: Stack
    source: duckdb.DuckDBPyConnection
    """The source's rows, cleaned by another engine."""


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posted]:
    with embedded_stack(tmp_path_factory.mktemp("stack"), *BATCH_PATH) as stack:
        stack.run("-m", "seed_data", "--events", str(COUNT))
        stack.run("-m", "emulator.user_posting_emulation", "--order", "sequential")
        take_in(stack)
        yield Posted(stack, oracle.source(reader_engine(stack.settings)))


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
    return agreement.silver(stack.settings, event)


def test_silver_is_the_cleaning_rules_applied_to_the_source_row_by_row(posted: Posted) -> None:
    agreement.require_silver(posted.stack.settings, posted.source, COUNT)


def test_the_nine_answers_are_those_of_another_engine(posted: Posted) -> None:
    agreement.require_answers(results(posted.stack), posted.source)


def test_accounting_is_balanced(posted: Posted) -> None:
    agreement.require_balanced(accounting(posted.stack), COUNT)


def test_every_event_can_be_traced_through_every_place(posted: Posted) -> None:
    agreement.require_traced(json.loads(posted.stack.run("-m", "pinline", "trace", str(COUNT - 1), "--json").stdout))


def test_a_second_batch_finds_nothing_new(posted: Posted) -> None:
    assert "nothing new" in take_in(posted.stack)


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
        assert (balance["silver"], balance["duplicates"]) == (COUNT, COUNT)


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
    quarantined = agreement.rows(stack.settings, "quarantine/records")
    reasons = sorted(quarantined[quarantined["event"] == "pin"]["reason"])
    expected = ["empty object", "key conflict", "missing column", "unknown column", "unparseable", "wrong type"]
    assert [reason.startswith(start) for reason, start in zip(reasons, expected, strict=True)] == [True] * 6, reasons
    balance = accounting(stack)["pin"]
    assert balance["balanced"]
    assert (balance["silver"], balance["quarantined"]) == (COUNT + 1, 6)
    assert balance["resent_or_foreign"] == len(records)


def test_down_and_up_keeps_everything(posted: Posted) -> None:
    stack = posted.stack
    before = results(stack)
    stack.down()
    assert stack.processes() == []
    stack.up(*BATCH_PATH)
    assert "nothing new" in take_in(stack)
    assert results(stack) == before
    assert all(balance["balanced"] for balance in accounting(stack).values())


def test_accounting_names_a_deleted_object_and_a_deleted_silver_row(posted: Posted) -> None:
    stack = posted.stack
    s3 = aws.s3_client(stack.settings)
    # neither the first nor the last of its partition: those the sink would write again
    (deleted,) = silver(stack, "geo").query(f"ind == {COUNT // 2}")["_object"]
    s3.delete_object(Bucket=stack.settings.bucket, Key=deleted)
    stack.run("-m", "lakehouse.sql", "DELETE FROM silver.user WHERE ind = 17")
    found = accounting(stack, code=1)
    assert found["pin"]["balanced"]
    assert not found["geo"]["balanced"]
    assert found["geo"]["offsets_not_in_s3"]
    assert any(deleted in line for line in found["geo"]["silver_rows_without_a_line"])
    assert not found["user"]["balanced"]
    assert found["user"]["missing_keys"] == ["17"]


def test_the_checkout_is_clean(posted: Posted) -> None:
    assert not Path(ROOT / "metastore_db").exists()
    assert not Path(ROOT / "spark-warehouse").exists()
