"""`pinline streams`, against the service."""

import json

import pytest
from typer.testing import CliRunner

from pinline.cli import streams
from pinline.errors import StateError
from tests.fixtures.backends import unique_user_id
from tests.fixtures.kinesis import Kinesis, unique_stream, wait_active

pytestmark = pytest.mark.contract


def test_streams_are_put_to_listed_described_and_tailed_over_a_split(
    kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", kinesis.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("COLUMNS", "300")
    client, run = kinesis.client(), CliRunner().invoke
    name = unique_stream(1, client)
    assert run(streams.app, ["put", name, "before", "--key", "a"]).output.startswith("shardId-000000000000 4")
    client.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    wait_active(client, name)
    assert run(streams.app, ["put", name, "-", "--key", "a"], input="one\ntwo\n").output.count("shardId-") == 2
    listed = run(streams.app, ["list"]).output
    assert name in listed
    assert "ACTIVE" in listed
    described = run(streams.app, ["describe", name]).output
    assert described.count("closed") == 1
    assert described.count("open ") >= 2
    tailed = run(streams.app, ["tail", name, "--from-start", "--count", "3"]).output
    assert [json.loads(line)["data"] for line in tailed.splitlines()] == ["before", "one", "two"]
    with pytest.raises(StateError, match="pinline streams list"):
        run(streams.app, ["describe", f"none-{unique_user_id()}"], catch_exceptions=False)
