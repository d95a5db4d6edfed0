"""What is said and done about what LocalStack has forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from containers.engine import Inspected
from containers.forgotten import Facts, Plan, decide, with_an_older_view

pytestmark = pytest.mark.unit

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def facts(**values: Any) -> Facts:
    return Facts(
        **{
            "older_records": 0,
            "has_answers": False,
            "streamed": 0,
            "other_streams": (),
            "has_own_kinesis": False,
            **values,
        }
    )


def started(service: str, minutes: int, image: str = "pinline/x") -> Inspected:
    return Inspected("0" * 12, service, image, NOON + timedelta(minutes=minutes), 0, False, "", 0, "")


def test_a_first_start_forgets_nothing() -> None:
    assert decide(facts()) == Plan((), makes_lake=False)


def test_records_older_than_the_bucket_are_counted_and_the_lake_is_made_anew() -> None:
    plan = decide(facts(older_records=5472))
    assert plan.makes_lake
    (line,) = plan.lines
    assert "S3 has forgotten" in line
    assert "5,472 records" in line
    assert "silver and gold are made anew" in line


def test_a_lake_that_was_made_anew_is_not_made_again() -> None:
    plan = decide(facts(older_records=5472, has_answers=True))
    assert not plan.makes_lake
    assert plan.lines == ()


def test_lost_records_of_kinesis_are_counted_with_the_setting_that_keeps_them() -> None:
    (line,) = decide(facts(streamed=300)).lines
    assert "300 records" in line
    assert "KINESIS=own" in line


def test_records_of_another_kinesis_service_are_not_said_to_be_forgotten_by_this_one() -> None:
    (line,) = decide(facts(streamed=300, has_own_kinesis=True)).lines
    assert "300 records" in line
    assert "LocalStack" not in line


def test_a_checkpoint_of_other_streams_names_the_command() -> None:
    (line,) = decide(facts(other_streams=("streaming-a-pin",))).lines
    assert "streaming-a-pin" in line
    assert "make stream-reset" in line


def test_readers_that_began_before_s3_start_anew() -> None:
    s3 = started("s3", 10, "localstack/localstack:4.14.0")
    found = [started("spark", 0), started("stream", 20), started("sink", 0), s3]
    assert with_an_older_view(found) == ["spark"]


def test_an_s3_that_keeps_its_objects_needs_no_reader_to_start_anew() -> None:
    assert with_an_older_view([started("s3", 10, "ministackorg/ministack:1"), started("spark", 0)]) == []
    assert with_an_older_view([started("spark", 0)]) == []
