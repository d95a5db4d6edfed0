"""The course's three notebooks as a student writes them, unchanged, and the ones of spark/notebooks, on a small lake.

The student's bucket, streams and keys file are configuration.
"""

from typing import Any

import nbformat
import pytest
from pyspark.sql import SparkSession

from lakehouse import tables
from pinline import aws
from pinline.events import EVENTS
from pinline.settings import ROOT, Settings
from tests.fixtures.backends import wait_until
from tests.fixtures.course import FOLDER, STUDENT, upload_keys
from tests.fixtures.kinesis import Kinesis, unique_stream
from tests.fixtures.lake import put_object, rows_written
from tests.fixtures.notebooks import StartNotebook
from tests.fixtures.stream import record

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DIRTY = {"description": "Untitled", "follower_count": "User Info Error", "save_location": "Local save in /data/art"}


@pytest.fixture(scope="module")
def course(
    connect_server: dict[str, Any], kinesis: Kinesis, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """The student's account: a bucket with three topics, three streams, the keys file among Databricks' uploads."""
    values = {
        **connect_server,
        "user_id": STUDENT,
        "pinline_data": tmp_path_factory.mktemp("course"),
        "aws_endpoint_url_kinesis": kinesis.url,
    }
    settings = Settings(_env_file=None, **values)  # type: ignore[call-arg]
    s3 = aws.s3_client(settings)
    s3.create_bucket(Bucket=settings.bucket)
    upload_keys(settings)
    for event in EVENTS:
        dirty = DIRTY if event.name == "pin" else {}
        records = [record(event.name, 1, **dirty), *(record(event.name, ind) for ind in (2, 3, 3))]
        for offset, line in enumerate(records):
            put_object(settings, event, offset, [line.decode()])
        stream = unique_stream(1, kinesis.client(), event.stream(STUDENT))
        put = [{"Data": line, "PartitionKey": "partition-1"} for line in records]
        kinesis.client().put_records(StreamName=stream, Records=put)
    return settings


def test_the_batch_notebooks_mount_clean_and_answer(start_notebook: StartNotebook, course: Settings) -> None:
    mounted = start_notebook(FOLDER / "s3_bucket_to_databricks.py", course).wait().succeeded()
    assert mounted.result["exit"] == "4 4 4"
    start_notebook(FOLDER / "transform_and_query_batch_data.py", course).wait().succeeded()
    lake = tables.open_lake(course)
    pins = {row.ind: row for row in lake.read("notebook.clean_pin").collect()}
    assert sorted(pins) == [1, 2, 3]
    assert (pins[1].description, pins[1].follower_count, pins[1].save_location) == (None, None, "/data/art")
    assert pins[2].follower_count == 2000
    assert [tuple(row) for row in lake.read("notebook.most_popular_category").collect()] == [("Niue", "art", 3)]


def test_the_streaming_notebook_fills_its_tables_until_it_is_cancelled(
    start_notebook: StartNotebook, course: Settings
) -> None:
    lake = tables.open_lake(course)
    run = start_notebook(FOLDER / "transforming_and_querying_the_streaming_data.py", course)
    run.wait_for("streaming")
    names = [f"notebook.{STUDENT}_geo_table", f"notebook.{STUDENT}_user_table"]

    def rows() -> list[int]:
        assert run.code is None, run.result
        return [rows_written(course, name) for name in names]

    wait_until(lambda: rows() == [4, 4], 120, "both tables hold all records")
    assert run.cancel().result["state"] == "CANCELED"
    assert [lake.read(name).count() for name in names] == [4, 4]
    place = lake.read(names[0]).orderBy("ind").first()
    assert (place.country, place.coordinates) == ("Niue", [1.5, 2.5])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("s3_bucket_to_databricks", "new objects: pin 4, geo 4, user 4"),
        ("transform_and_query_batch_data", "9 answers published"),
        ("transforming_and_querying_the_streaming_data", "4 pins"),
    ],
)
def test_the_notebooks_of_this_project_run_from_first_to_last_cell(
    start_notebook: StartNotebook, course: Settings, name: str, shown: str
) -> None:
    file = ROOT / "spark" / "notebooks" / f"{name}.ipynb"
    assert not any(cell.get("outputs") for cell in nbformat.read(file, as_version=4).cells), "stored without outputs"
    run = start_notebook(file, course).wait().succeeded()
    assert shown in run.text
    assert "<svg" in str(run.notebook.cells), "its charts are drawn"
