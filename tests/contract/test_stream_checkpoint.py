"""The streaming job's checkpoint in a real S3: whole or damaged, and what to do; Spark's files are written by hand."""

import json
from typing import Any

import pytest

from lakehouse.stream import checkpoint
from pinline import aws
from pinline.errors import StateError
from pinline.settings import Settings
from pyspark_kinesis.offsets import Position, StreamOffset, to_json
from tests.fixtures.backends import MakeSettings

pytestmark = pytest.mark.contract

COMMIT = 'v1\n{"nextBatchWatermarkMs":0}'


def offset(last: str) -> str:
    """The file of a batch that ended at a sequence number."""
    position = Position(first="1", last=last, count=2)
    source = to_json({"s": StreamOffset(7, {"shard": position, "unread": Position(start="trim_horizon")})})
    return "\n".join(["v1", json.dumps({"batchWatermarkMs": 0}), json.dumps(source)])


class Checkpoint:
    """Files under the query's checkpoint."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.s3: Any = aws.s3_client(settings)
        self.s3.create_bucket(Bucket=settings.bucket)

    def write(self, **files: str) -> None:
        """Write `offsets_3=...` to `offsets/3`."""
        for name, text in files.items():
            key = checkpoint.EVENTS + name.replace("_", "/")
            self.s3.put_object(Bucket=self.settings.bucket, Key=key, Body=text.encode())

    def check(self) -> None:
        checkpoint.check(self.s3, self.settings)


@pytest.fixture
def files(make_settings: MakeSettings, s3_endpoint: str) -> Checkpoint:
    """A checkpoint without files."""
    return Checkpoint(make_settings(aws_endpoint_url_s3=s3_endpoint))


WHOLE: list[dict[str, str]] = [
    {},
    {"offsets_0": offset("2")},
    {"offsets_0": offset("2"), "commits_0": COMMIT},
    {"offsets_8": offset("2"), "offsets_9": offset("5"), "commits_8": COMMIT, "metadata": "{}"},
]
DAMAGED: dict[str, dict[str, str]] = {
    "offsets/9 is not what Spark writes": {"offsets_8": offset("2"), "commits_8": COMMIT, "offsets_9": "v1\n{"},
    "offsets/0 is not what Spark writes": {"offsets_0": ""},
    "commits/8 is not what Spark writes": {"offsets_8": offset("2"), "commits_8": "v2\n{}"},
    "batch 9 is done, and what it read is noted nowhere": {"offsets_8": offset("2"), "commits_9": COMMIT},
    "batch 0 is done, and what it read is noted nowhere": {"commits_0": COMMIT},
    "offsets/9 is there, and commits/8 is not": {"offsets_9": offset("5"), "commits_7": COMMIT},
}


@pytest.mark.parametrize("found", WHOLE)
def test_a_whole_checkpoint_is_gone_on_from(files: Checkpoint, found: dict[str, str]) -> None:
    files.write(**found)
    files.check()


@pytest.mark.parametrize(("why", "found"), DAMAGED.items())
def test_a_damaged_checkpoint_is_named_with_what_to_do(files: Checkpoint, why: str, found: dict[str, str]) -> None:
    files.write(**found)
    with pytest.raises(StateError) as caught:
        files.check()
    where = f"s3://{files.settings.bucket}/{checkpoint.EVENTS}"
    assert f"{where}: {why}" in str(caught.value)
    assert "make stream-reset" in str(caught.value)
    assert checkpoint.delete(files.s3, files.settings) == len(found)
    files.check()


def test_positions_are_those_of_the_last_batch_that_is_done(files: Checkpoint) -> None:
    assert checkpoint.positions(files.s3, files.settings) == {}
    files.write(offsets_8=offset("2"), offsets_9=offset("5"), commits_8=COMMIT)
    assert checkpoint.positions(files.s3, files.settings) == {("s", "shard"): "2"}
