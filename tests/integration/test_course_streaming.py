"""The course's streaming notebook: only credentials are filled in, and its tables appear in the schema `notebook`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.tables import Lake
from pinline import aws, object_store
from pinline.events import EVENTS
from tests.fixtures.backends import free_port, wait_until
from tests.fixtures.course import notebook
from tests.fixtures.lake import rows_written
from tests.fixtures.stream import Stream

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

EVENT_COUNT = 20


def table(stream: Stream, event: str) -> str:
    """A table of the notebook's."""
    return f"notebook.{stream.settings.user_id}_{event}_table"


def _keys(stream: Stream, prefix: str) -> list[str]:
    found = object_store.list_keys(aws.s3_client(stream.settings), stream.settings, prefix)
    return [key for key, _ in found]


@pytest.fixture
def no_traces(stream: Stream) -> Iterator[None]:
    """What the notebook wrote is deleted afterwards: its tables, and its checkpoints, which it puts into /tmp."""
    yield
    for key in _keys(stream, "lake/notebook/"):
        aws.s3_client(stream.settings).delete_object(Bucket=stream.settings.bucket, Key=key)
    for folder in Path("/tmp/kinesis").glob(f"{stream.settings.user_id}_*"):
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def posted(stream: Stream) -> Stream:
    """A user's streams with events in them."""
    stream.put_events(*range(EVENT_COUNT))
    return stream


@pytest.mark.parametrize("session", ["connect", "classic"])
def test_the_streaming_notebook_fills_its_tables_with_credentials_changed_only(
    posted: Stream, spark: SparkSession, no_traces: None, tmp_path: Path, session: str
) -> None:
    stream, settings = posted, posted.settings
    more = {"spark_remote": settings.spark_remote} if session == "connect" else {"spark_ui_port": free_port()}
    filled_in = {"ACCESS_KEY": "test", "SECRET_KEY": "test", "UserId": settings.user_id}
    with notebook("streaming.py", tmp_path, settings, filled_in, **more) as (process, log):

        def are_full() -> bool:
            assert process.poll() is None, log.read_text()[-4000:]
            return all(rows_written(settings, table(stream, event.name)) >= EVENT_COUNT for event in EVENTS)

        wait_until(are_full, 240, "the notebook's tables hold all events")
    lake = Lake(spark, settings)
    found = {event.name: lake.read(table(stream, event.name)).orderBy("ind").collect() for event in EVENTS}
    for event in EVENTS:
        assert [row.ind for row in found[event.name]] == list(range(EVENT_COUNT))
    assert found["pin"][0].follower_count == 2000
    assert found["geo"][0].coordinates == [1.5, 2.5]
    assert found["user"][0].user_name == "Ann Lee"
