"""The batch after S3 has forgotten the lake while it was written, as LocalStack does when it is started anew."""

import pytest

from lakehouse import batch, inspect, logs, results
from pinline import aws
from pinline.events import EVENTS
from pinline.settings import Settings
from tests.fixtures.backends import MakeSettings
from tests.fixtures.forgetting import forget, late_commit, left_of
from tests.fixtures.lake import many_rows, put_all

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
    """Writes that came late: first one to silver and one of the answers, then all of the progress."""
    put_all(lake_settings, many_rows(ROWS))
    assert batch.run(lake_settings)
    before = everything(lake_settings)
    late = [late_commit(lake_settings, "lake/silver/user"), late_commit(lake_settings, "lake/gold/q1")]
    forget(lake_settings, "lake/", late)
    assert batch.run(lake_settings)
    assert everything(lake_settings) == before
    for table, key in zip(("silver.user", "gold.q1"), late, strict=True):
        assert [left.rpartition("/")[2] for left in left_of(lake_settings, table)] == [key.rpartition("/")[2]]
    assert "S3 has forgotten a part of the lake: silver.user is made anew" in capsys.readouterr().err

    forget(lake_settings, "lake/silver/")
    assert batch.run(lake_settings), "silver is filled again, though its progress was complete"
    assert everything(lake_settings) == before
    assert not batch.run(lake_settings)


LOGS: dict[str, tuple[bool | None, list[str]]] = {
    "no log": (None, ["part-0.parquet"]),
    "an empty folder": (None, ["_delta_log/"]),
    "a first version": (True, ["_delta_log/", f"_delta_log/{0:020}.crc", f"_delta_log/{0:020}.json"]),
    "a first version among many": (True, [f"_delta_log/{version:020}.json" for version in range(30)]),
    "a checkpoint in the first's place": (
        True,
        [*(f"_delta_log/{version:020}.json" for version in range(20, 55)), f"_delta_log/{50:020}.checkpoint.parquet"],
    ),
    "a commit alone": (False, [f"_delta_log/{7:020}.json", "part-0.parquet"]),
    "a commit and where a checkpoint was": (False, [f"_delta_log/{7:020}.json", "_delta_log/_last_checkpoint"]),
}


@pytest.mark.contract
@pytest.mark.parametrize(("is_whole", "keys"), LOGS.values(), ids=LOGS)
def test_a_log_is_whole_if_it_can_be_read_from_its_beginning(
    make_settings: MakeSettings, s3_endpoint: str, is_whole: bool | None, keys: list[str]
) -> None:
    settings = make_settings(aws_endpoint_url_s3=s3_endpoint)
    s3 = aws.s3_client(settings)
    s3.create_bucket(Bucket=settings.bucket)
    for key in keys:
        s3.put_object(Bucket=settings.bucket, Key=f"lake/silver/pin/{key}", Body=b"x")
    assert logs.found(s3, settings, "silver").get("pin") is is_whole
    assert logs.found(s3, settings, "gold") == {}
