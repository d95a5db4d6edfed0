"""What a Databricks notebook finds, on a real Spark server and a real S3."""

import pytest

from pinline import aws
from pinline.settings import ROOT, Settings
from tests.fixtures.backends import wait_until
from tests.fixtures.lake import running_jobs
from tests.fixtures.notebooks import StartNotebook

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(600)]

NOTEBOOKS = ROOT / "tests" / "data" / "notebooks"


@pytest.fixture
def settings(fresh_lake_settings: Settings) -> Settings:
    """The test's lake, and these tests' notebooks as the workspace."""
    return fresh_lake_settings.model_copy(update={"workspace_root": NOTEBOOKS})


def test_a_notebook_finds_what_databricks_gives_it(start_notebook: StartNotebook, settings: Settings) -> None:
    run = start_notebook(NOTEBOOKS / "environment.py", settings, {"bucket": settings.bucket}).wait().succeeded()
    assert run.result["exit"] == "all right"
    for expected in (
        "note: the keys given to mount are not used",
        "total 3",
        "SparkSession True False",
        str(settings.aws_access_key_id),
        "the schema gold is written by the pipeline's jobs alone",
        "/mnt/other/x: nothing is mounted there; mounted are: /mnt/course",
        "Directory already mounted: /mnt/course",
        "dbutils.jobs is Databricks' own",
        "good day HELLO",
    ):
        assert expected in run.text
    table = f"lake/notebook/numbers/_delta_log/{0:020}.json"
    aws.s3_client(settings).head_object(Bucket=settings.bucket, Key=table)


def test_a_cancelled_notebook_leaves_no_work_on_the_server(start_notebook: StartNotebook, settings: Settings) -> None:
    run = start_notebook(NOTEBOOKS / "endless.py", settings)
    run.wait_for("output", "begun")
    wait_until(lambda: bool(running_jobs(settings)), 120, "Spark works for the notebook")
    run.cancel()
    assert (run.code, run.result["state"]) == (1, "CANCELED")
    wait_until(lambda: not running_jobs(settings), 60, "Spark has stopped")


def test_a_run_lasts_as_long_as_its_streaming_queries_and_a_shared_checkpoint_is_explained(
    start_notebook: StartNotebook, settings: Settings
) -> None:
    run = start_notebook(NOTEBOOKS / "two_queries_one_checkpoint.py", settings)
    run.wait_for("streaming", "ticks")
    assert "belongs to the query that writes to ticks; the one that writes to other needs its own" in run.text
    assert run.cancel().result["state"] == "CANCELED"
