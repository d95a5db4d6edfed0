"""AWS's SDKs, unmodified, run a session: create, put, split, read the lineage, merge, delete."""

import asyncio
import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import boto3
import cbor2
import pytest
from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.fixtures.backends import unique_user_id
from tests.fixtures.http import HTTP
from tests.fixtures.kinesis import Kinesis, StartKinesis, read_lineage, unique_stream, wait_active, wait_gone

pytestmark = pytest.mark.contract

SCRIPT = Path(__file__).parent / "javascript" / "session.mjs"
SDK = "@aws-sdk/client-kinesis@3"


def test_boto3_runs_a_session(kinesis: Kinesis) -> None:
    client = boto3.client(
        "kinesis",
        endpoint_url=kinesis.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    stream = f"s-{unique_user_id()}"
    client.create_stream(StreamName=stream, ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    numbers = [client.put_record(StreamName=stream, Data=b"a", PartitionKey="a")["SequenceNumber"]]
    client.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    numbers.append(client.put_record(StreamName=stream, Data=b"b", PartitionKey="b")["SequenceNumber"])
    wait_active(client, stream)
    client.merge_shards(
        StreamName=stream, ShardToMerge="shardId-000000000001", AdjacentShardToMerge="shardId-000000000002"
    )
    wait_active(client, stream)
    numbers.append(client.put_record(StreamName=stream, Data=b"c", PartitionKey="c")["SequenceNumber"])
    read = [record["SequenceNumber"] for records in read_lineage(client, stream).values() for record in records]
    assert read == numbers == sorted(numbers)
    pages = client.get_paginator("describe_stream").paginate(StreamName=stream, PaginationConfig={"PageSize": 1})
    assert [len(page["StreamDescription"]["Shards"]) for page in pages] == [1, 1, 1, 1]
    client.delete_stream(StreamName=stream)
    client.get_waiter("stream_not_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 20})


def test_aiobotocore_runs_a_session(kinesis: Kinesis) -> None:
    stream = f"s-{unique_user_id()}"

    async def session() -> tuple[list[str], list[str]]:
        async with get_session().create_client(
            "kinesis",
            endpoint_url=kinesis.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(max_pool_connections=50),
        ) as client:
            await client.create_stream(StreamName=stream, ShardCount=2)
            waiter = client.get_waiter("stream_exists")
            await waiter.wait(StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
            puts = [client.put_record(StreamName=stream, Data=b"x", PartitionKey=str(i)) for i in range(100)]
            written = [answer["SequenceNumber"] for answer in await asyncio.gather(*puts)]
            read = []
            for shard in ("shardId-000000000000", "shardId-000000000001"):
                answer = await client.get_shard_iterator(
                    StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
                )
                answer = await client.get_records(ShardIterator=answer["ShardIterator"])
                read += [record["SequenceNumber"] for record in answer["Records"]]
            await client.delete_stream(StreamName=stream)
            return written, read

    written, read = asyncio.run(session())
    assert sorted(read) == sorted(written)


def test_the_sdk_for_javascript_runs_a_session_over_http2(
    kinesis: Kinesis, tmp_path_factory: pytest.TempPathFactory
) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not on PATH; they bring and run AWS's SDK for JavaScript")
    folder = tmp_path_factory.mktemp("javascript")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", SDK]
    installed = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    assert installed.returncode == 0, installed.stderr
    stream = f"s-{unique_user_id()}"
    command = [node, "--no-warnings", str(SCRIPT), kinesis.url, stream, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [record["sequence"] for record in told["read"]] == told["written"]
    texts = {record["shard"]: record["text"] for record in told["read"]}
    assert texts["shardId-000000000003"] == "after the merge"
    assert told["missing"] == "ResourceNotFoundException"


def test_cbor_as_the_sdks_for_java_send_it(kinesis: Kinesis) -> None:
    stream = unique_stream(1, kinesis.client())

    def call(operation: str, body: dict[str, object]) -> dict[str, object]:
        headers = {"content-type": "application/x-amz-cbor-1.1", "x-amz-target": f"Kinesis_20131202.{operation}"}
        answer = HTTP.post(kinesis.url, content=cbor2.dumps(body), headers=headers)
        assert answer.status_code == 200, answer.content
        # tag 1 with milliseconds, which a plain decoder would take for seconds
        return dict(cbor2.loads(answer.content, semantic_decoders={1: lambda value, _immutable: value}))

    put = call("PutRecord", {"StreamName": stream, "Data": b"\x00\xff", "PartitionKey": "k"})
    start = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "AT_TIMESTAMP"}
    iterator = call("GetShardIterator", {**start, "Timestamp": cbor2.CBORTag(1, 1_700_000_000_000)})["ShardIterator"]
    (record,) = call("GetRecords", {"ShardIterator": iterator})["Records"]  # type: ignore[misc]
    assert record["Data"] == b"\x00\xff"
    assert record["SequenceNumber"] == put["SequenceNumber"]
    assert isinstance(record["ApproximateArrivalTimestamp"], int)
    assert record["ApproximateArrivalTimestamp"] > 1_700_000_000_000


def test_signatures_are_checked_where_keys_are_set(kinesis: Kinesis, start_kinesis: StartKinesis) -> None:
    with start_kinesis(kinesis.kafka, "--access-keys", "test:test,other:secret") as checking:
        assert "StreamNames" in checking.client().list_streams()
        wrong = boto3.client(
            "kinesis",
            endpoint_url=checking.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="wrong",
        )
        with pytest.raises(ClientError) as raised:
            wrong.list_streams()
        assert raised.value.response["Error"]["Code"] == "InvalidSignatureException"
        assert HTTP.post(checking.url, content=b"{}").status_code == 400


def test_throughput_is_limited_as_in_the_cloud(kinesis: Kinesis, start_kinesis: StartKinesis) -> None:
    with start_kinesis(kinesis.kafka, "--state-delay", "0.05") as limited:
        client = limited.client()
        stream = unique_stream(2, client)
        other = unique_stream(2, client)
        records = [{"Data": b"x", "PartitionKey": "a", "ExplicitHashKey": "0"}] * 500
        answers = [client.put_records(StreamName=stream, Records=records) for _ in range(4)]
        failed = [record for answer in answers for record in answer["Records"] if "ErrorCode" in record]
        assert sum(answer["FailedRecordCount"] for answer in answers) == len(failed) > 0
        assert failed[0]["ErrorCode"] == "ProvisionedThroughputExceededException"
        assert failed[0]["ErrorMessage"] == (
            f"Rate exceeded for shard shardId-000000000000 in stream {stream} under account 000000000000."
        )
        assert client.put_record(StreamName=other, Data=b"x", PartitionKey="a", ExplicitHashKey="0")
        start = {"StreamName": stream, "ShardId": "shardId-000000000001", "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**start)["ShardIterator"]
        read = partial(client.get_records, ShardIterator=iterator)
        with pytest.raises(ClientError) as raised:
            list(iter(read, None))
        assert raised.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
        scale = {"StreamName": other, "ScalingType": "UNIFORM_SCALING"}
        for count, refused in ((4, 9), (3, 1)):
            client.update_shard_count(**scale, TargetShardCount=count)
            wait_active(client, other)
            with pytest.raises(ClientError) as raised:
                client.update_shard_count(**scale, TargetShardCount=refused)
            assert raised.value.response["Error"]["Code"] == "LimitExceededException"
        client.delete_stream(StreamName=stream)
        wait_gone(client, stream)
