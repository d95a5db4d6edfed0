"""Whatever comes in, the answer is AWS's error and never a fault of the service."""

import asyncio
import random
import time
from typing import Any

import aiohttp
import cbor2
import httpx
import orjson
import pytest
from botocore.exceptions import ClientError
from confluent_kafka import Consumer, TopicPartition

from kinesis.model import table
from kinesis.tokens import LIFETIME_MS, Position, decode_position, encode_position
from tests.fixtures.http import HTTP
from tests.fixtures.kinesis import Kinesis, read_shard, unique_stream, wait_gone

pytestmark = pytest.mark.contract

JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"
PREFIX = "Kinesis_20131202."


def post(kinesis: Kinesis, target: str, body: bytes, content_type: str = JSON, **headers: str) -> httpx.Response:
    values = {"content-type": content_type, "x-amz-target": target, **headers}
    return HTTP.post(kinesis.url, content=body, headers=values, timeout=30)


def error(answer: httpx.Response) -> str:
    decode = cbor2.loads if answer.headers["content-type"] == CBOR else orjson.loads
    name: str = decode(answer.content)["__type"]
    return name


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"1", b'"a"', b"\xff\xfe", b'{"StreamName":"\\ud800"}'])
def test_a_body_that_is_no_json_object_is_a_serialization_exception(kinesis: Kinesis, body: bytes) -> None:
    answer = post(kinesis, PREFIX + "ListShards", body)
    assert (answer.status_code, error(answer)) == (400, "SerializationException")
    assert answer.headers["x-amzn-requestid"]


NOT_BASE64 = ["not base64!", "YQ", "YQ=", "YQ==YQ==", "Y Q = =", "\u00e9", 5, {"a": 1}]


@pytest.mark.parametrize("data", NOT_BASE64)
def test_data_that_is_not_base64_is_refused_and_nothing_of_its_request_is_stored(kinesis: Kinesis, data: Any) -> None:
    stream = unique_stream(1, kinesis.client())
    one = {"StreamName": stream, "Data": data, "PartitionKey": "k"}
    right = {"Data": "YQ==", "PartitionKey": "k"}
    several = {"StreamName": stream, "Records": [right, {"Data": data, "PartitionKey": "k"}]}
    for action, body in (("PutRecord", one), ("PutRecords", several)):
        answer = post(kinesis, PREFIX + action, orjson.dumps(body))
        assert (answer.status_code, error(answer)) == (400, "SerializationException")
    assert read_shard(kinesis.client(), stream, "shardId-000000000000") == []


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"\x80", b"\xf6", b"\x9b" + b"\x7f" * 8, b"\x5b" + b"\x7f" * 8, b"\x81" * 999]
)
def test_a_body_that_is_no_cbor_map_is_a_serialization_exception(kinesis: Kinesis, body: bytes) -> None:
    answer = post(kinesis, PREFIX + "ListShards", body, CBOR)
    assert answer.headers["content-type"] == CBOR
    assert (answer.status_code, error(answer)) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("target", "content_type", "status"),
    [
        ("", JSON, 400),
        ("Kinesis_20131202.", JSON, 400),
        ("Kinesis_20131202.NoSuchOperation", JSON, 400),
        ("Kinesis_20131202.SubscribeToShard", JSON, 400),
        ("DynamoDB_20120810.ListTables", JSON, 400),
        ("PutRecord", CBOR, 400),
        ("Kinesis_20131202.ListStreams", "text/plain", 404),
    ],
)
def test_what_is_unknown_is_an_unknown_operation(kinesis: Kinesis, target: str, content_type: str, status: int) -> None:
    answer = post(kinesis, target, b"{}", content_type)
    assert (answer.status_code, error(answer)) == (status, "UnknownOperationException")


def test_every_operation_that_is_not_supported_says_so(kinesis: Kinesis) -> None:
    for name in table()["unsupported"]:
        answer = post(kinesis, PREFIX + name, b"{}")
        assert (answer.status_code, error(answer)) == (400, "UnknownOperationException")


def test_other_methods_are_refused_and_browsers_are_let_in(kinesis: Kinesis) -> None:
    assert HTTP.get(kinesis.url).status_code == 403
    assert HTTP.put(kinesis.url, content=b"{}").status_code == 403
    headers = {"origin": "http://page", "access-control-request-headers": "x-amz-target"}
    answer = HTTP.options(kinesis.url, headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-headers"]) == (200, "x-amz-target")
    answer = post(kinesis, PREFIX + "ListStreams", b"{}", origin="http://page")
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_body_above_the_limit_is_refused_before_it_is_read(kinesis: Kinesis) -> None:
    assert post(kinesis, PREFIX + "PutRecords", b" " * 15_000_001).status_code == 413


def test_the_operator_has_health_readiness_and_metrics(kinesis: Kinesis) -> None:
    stream = unique_stream(1, kinesis.client())
    kinesis.client().put_record(StreamName=stream, Data=b"1234", PartitionKey="5")
    assert HTTP.get(f"{kinesis.url}/healthz").status_code == 200
    assert HTTP.get(f"{kinesis.url}/readyz").json()["status"] == "ready"
    metrics = HTTP.get(f"{kinesis.url}/metrics").text
    assert f'kinesis_incoming_records_total{{stream="{stream}"}} 1.0' in metrics
    assert f'kinesis_incoming_bytes_total{{stream="{stream}"}} 5.0' in metrics
    assert 'kinesis_requests_total{error="",operation="PutRecord"}' in metrics


def shared_key(kinesis: Kinesis) -> bytes:
    """The key that iterators are signed with, as it stands in the metadata topic."""
    consumer = Consumer({"bootstrap.servers": kinesis.kafka, "group.id": "test", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition("kinesis-metadata", 0, 0)])
        while True:
            message = consumer.poll(10)
            assert message is not None, "no key in the metadata topic"
            if message.key() == b"secret":
                return bytes.fromhex(orjson.loads(message.value())["key"])
    finally:
        consumer.close()


def test_forged_and_expired_iterators_are_refused(kinesis: Kinesis) -> None:
    client = kinesis.client()
    stream = unique_stream(1, client)
    start = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(**start)["ShardIterator"]
    key = shared_key(kinesis)
    position = decode_position(key, iterator, 0)
    now = int(time.time() * 1000)
    cases = {
        encode_position(key, position, now - LIFETIME_MS - 1000): "ExpiredIteratorException",
        encode_position(b"another key", position, now): "InvalidArgumentException",
        encode_position(key, Position("none", 1, 0, 0), now): "ResourceNotFoundException",
        encode_position(key, position._replace(shard=7), now): "ResourceNotFoundException",
        encode_position(key, position._replace(epoch=7), now): "ResourceNotFoundException",
        iterator[:-4]: "InvalidArgumentException",
        iterator + "AAAA": "InvalidArgumentException",
    }
    for text, expected in cases.items():
        with pytest.raises(ClientError) as raised:
            client.get_records(ShardIterator=text)
        assert raised.value.response["Error"]["Code"] == expected
    client.get_records(ShardIterator=iterator)


def test_a_recreated_stream_refuses_iterators_sequence_numbers_and_pages_of_the_old_one(kinesis: Kinesis) -> None:
    client = kinesis.client()
    stream = unique_stream(3, client)
    old = client.put_record(StreamName=stream, Data=b"old", PartitionKey="a")
    start = {"StreamName": stream, "ShardId": old["ShardId"]}
    iterator = client.get_shard_iterator(**start, ShardIteratorType="LATEST")["ShardIterator"]
    token = client.list_shards(StreamName=stream, MaxResults=1)["NextToken"]
    client.delete_stream(StreamName=stream)
    wait_gone(client, stream)
    unique_stream(3, client, stream)
    client.put_record(StreamName=stream, Data=b"new", PartitionKey="a")

    def code(call: Any, **values: Any) -> str:
        with pytest.raises(ClientError) as raised:
            call(**values)
        return str(raised.value.response["Error"]["Code"])

    assert code(client.get_records, ShardIterator=iterator) == "ResourceNotFoundException"
    assert code(client.list_shards, NextToken=token) == "ResourceNotFoundException"
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        number = old["SequenceNumber"]
        values = {**start, "ShardIteratorType": kind, "StartingSequenceNumber": number}
        assert code(client.get_shard_iterator, **values) == "InvalidArgumentException"
    assert [record["Data"] for record in read_shard(client, stream, old["ShardId"])] == [b"new"]


def test_ten_thousand_random_bodies_are_never_a_fault(kinesis: Kinesis) -> None:
    stream = unique_stream(1, kinesis.client())
    chance = random.Random(20131202)
    names = sorted(set(table()["operations"]) - {"CreateStream", "UpdateShardCount"})
    requests = [random_request(chance, chance.choice(names), stream) for _ in range(10_000)]

    async def send_all() -> list[tuple[int, Any]]:
        waiting = iter(requests)
        async with aiohttp.ClientSession() as session:

            async def work() -> list[tuple[int, Any]]:
                found = []
                for target, content_type, body in waiting:
                    headers = {"content-type": content_type, "x-amz-target": target}
                    async with session.post(kinesis.url, data=body, headers=headers) as answer:
                        found.append((answer.status, (target, content_type, body, await answer.read())))
                return found

            return [result for part in await asyncio.gather(*(work() for _ in range(16))) for result in part]

    results = asyncio.run(send_all())
    assert len(results) == 10_000
    assert [what for status, what in results if status >= 500] == []
    assert {status for status, _ in results} <= {200, 400, 404}


def random_request(chance: random.Random, name: str, stream: str) -> tuple[str, str, bytes]:
    """Return target, content type and body: noise, or a request that is nearly right."""
    content_type = chance.choice([JSON, CBOR])
    if chance.random() < 0.3:
        return PREFIX + name, content_type, chance.randbytes(chance.randrange(60))
    shapes = table()["shapes"]
    members = shapes[table()["operations"][name]]["members"]
    body = {key: random_value(chance, shapes, of, stream) for key, of in members.items() if chance.random() < 0.6}
    encoded = cbor2.dumps(body) if content_type == CBOR else orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    if chance.random() < 0.2:
        at = chance.randrange(len(encoded))
        encoded = encoded[:at] + chance.randbytes(1) + encoded[at + 1 :]
    return PREFIX + name, content_type, encoded


def random_value(chance: random.Random, shapes: Any, name: str, stream: str, depth: int = 0) -> Any:
    """Return a value of a shape, mostly of its type, sometimes of another."""
    odd = [None, True, -1, 2**40, 1.5, "", "x", [], {}, [1], {"a": 1}, "\u0000", "9" * 200, -(2**63), 1e300]
    shape = shapes[name]
    kind = shape["type"]
    if chance.random() < 0.15 or depth > 3:
        return chance.choice(odd)
    if kind == "structure":
        return {k: random_value(chance, shapes, of, stream, depth + 1) for k, of in shape["members"].items()}
    if kind == "list":
        return [random_value(chance, shapes, shape["member"], stream, depth + 1) for _ in range(chance.randrange(4))]
    if kind == "map":
        return {chance.choice(["a", "b", ""]): random_value(chance, shapes, shape["value"], stream, depth + 1)}
    if kind in ("integer", "long"):
        return chance.choice([0, 1, 2, 24, 100, 10_000, 2**31])
    if kind == "timestamp":
        return chance.choice([0, 1_600_000_000, 1_600_000_000.5, -5, 1e15])
    if kind == "boolean":
        return False
    if kind == "blob":
        return chance.choice(["", "YQ==", "YQ", "not base64!"])
    if "enum" in shape:
        return chance.choice(shape["enum"])
    return chance.choice(
        [stream, stream, "shardId-000000000000", "5", "4" * 56, f"arn:aws:kinesis:r:{'0' * 12}:stream/{stream}"]
    )
