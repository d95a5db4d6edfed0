"""The batch after S3 has forgotten the lake while it was written, as LocalStack does when it is started anew."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse import batch, inspect, logs, results, tables
from lakehouse.jobs import silver
from lakehouse.logs import Log
from pinline import aws, object_store
from pinline.errors import StateError, UnreachableError
from pinline.events import EVENTS, USER
from pinline.settings import Settings
from tests.fixtures.backends import MakeSettings, free_port
from tests.fixtures.forgetting import data_of, forget, late_commit, left_of
from tests.fixtures.lake import many_rows, put_all

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROWS = 30


def everything(settings: Settings) -> object:
    """Silver and the answers."""
    keys = {event.name: sorted(inspect.silver(settings, event.name)["ind"].to_pylist()) for event in EVENTS}
    return keys, results.results(settings)


@pytest.mark.integration
@pytest.mark.faults
def test_what_is_left_of_the_lake_is_set_aside_and_the_next_batch_makes_all_of_it_anew(
    lake_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Writes that came late: first a commit to silver and to an answer, and data without one; then all but silver."""
    put_all(lake_settings, many_rows(ROWS))
    assert batch.run(lake_settings)
    before = everything(lake_settings)
    late = [late_commit(lake_settings, "silver.user"), late_commit(lake_settings, "gold.q1")]
    forget(lake_settings, "lake/", late + data_of(lake_settings, "silver.pin"))
    assert batch.run(lake_settings)
    assert everything(lake_settings) == before
    for table, key in zip(("silver.user", "gold.q1"), late, strict=True):
        assert [left.rpartition("/")[2] for left in left_of(lake_settings, table)] == [key.rpartition("/")[2]]
    assert "S3 has forgotten a part of the lake: silver.user is made anew" in capsys.readouterr().err

    forget(lake_settings, "lake/silver/")
    assert batch.run(lake_settings), "silver is filled again, though its progress was complete"
    assert everything(lake_settings) == before
    assert not batch.run(lake_settings)


LOGS: dict[str, tuple[Log | None, list[str]]] = {
    "data without a log": (Log.MISSING, ["part-0.parquet"]),
    "partitioned data without a log": (Log.MISSING, ["_delta_log/", "event=pin/", "event=pin/part-0.parquet"]),
    "an empty folder": (None, ["_delta_log/"]),
    "a first version": (Log.WHOLE, ["_delta_log/", f"_delta_log/{0:020}.crc", f"_delta_log/{0:020}.json"]),
    "a first version among many": (Log.WHOLE, [f"_delta_log/{version:020}.json" for version in range(30)]),
    "a checkpoint in the first's place": (
        Log.WHOLE,
        [*(f"_delta_log/{version:020}.json" for version in range(20, 55)), f"_delta_log/{50:020}.checkpoint.parquet"],
    ),
    "a commit alone": (Log.TRUNCATED, [f"_delta_log/{7:020}.json", "part-0.parquet"]),
    "a commit and where a checkpoint was": (
        Log.TRUNCATED,
        [f"_delta_log/{7:020}.json", "_delta_log/_last_checkpoint"],
    ),
}


@pytest.mark.contract
@pytest.mark.parametrize(("log", "keys"), LOGS.values(), ids=LOGS)
def test_a_log_is_whole_if_it_can_be_read_from_its_beginning(
    make_settings: MakeSettings, s3_endpoint: str, log: Log | None, keys: list[str]
) -> None:
    settings = make_settings(aws_endpoint_url_s3=s3_endpoint)
    s3 = aws.s3_client(settings)
    s3.create_bucket(Bucket=settings.bucket)
    for key in keys:
        s3.put_object(Bucket=settings.bucket, Key=f"lake/silver/pin/{key}", Body=b"x")
    assert logs.found(s3, settings, "silver").get("pin") is log
    assert logs.found(s3, settings, "gold") == {}


@pytest.mark.contract
def test_a_log_that_is_begun_between_two_looks_is_whole(
    make_settings: MakeSettings, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(aws_endpoint_url_s3=s3_endpoint)
    s3 = aws.s3_client(settings)
    s3.create_bucket(Bucket=settings.bucket)
    s3.put_object(Bucket=settings.bucket, Key="lake/silver/pin/")

    def list_keys(*arguments: Any, **more: Any) -> Iterator[tuple[str, int]]:
        yield from object_store.list_keys(*arguments, **more)
        s3.put_object(Bucket=settings.bucket, Key=f"lake/silver/pin/_delta_log/{0:020}.json", Body=b"x")

    monkeypatch.setattr(logs, "list_keys", list_keys)
    assert logs.found(s3, settings, "silver") == {"pin": Log.WHOLE}


@pytest.mark.integration
def test_tables_that_another_run_creates_and_fills_meanwhile_stay(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(lake_settings, many_rows(3))
    lake = tables.open_lake(lake_settings)
    silver.load(lake, USER, "other")
    real, looks = logs.found, []

    def found(s3: "S3Client", settings: Settings, schema: str) -> dict[str, Log]:
        """At the first look, silver.geo isn't there yet."""
        looks.append(schema)
        first = looks.count(schema) == 1
        return {name: log for name, log in real(s3, settings, schema).items() if not (first and name == "geo")}

    monkeypatch.setattr(logs, "found", found)
    tables.create(lake)
    assert looks.count("silver") == 2
    assert not list(object_store.list_keys(lake.s3, lake_settings, logs.SET_ASIDE))
    assert not lake.read("silver.user").isEmpty()


@pytest.mark.contract
def test_an_s3_that_is_away_or_has_no_bucket_is_named(make_settings: MakeSettings, s3_endpoint: str) -> None:
    """The streaming job goes on trying after these, and only after these."""
    away = make_settings(aws_endpoint_url_s3=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match="AWS_ENDPOINT_URL_S3"):
        logs.found(aws.s3_client(away), away, "stream")
    empty = make_settings(aws_endpoint_url_s3=s3_endpoint)
    with pytest.raises(StateError, match="no bucket"):
        logs.found(aws.s3_client(empty), empty, "stream")
