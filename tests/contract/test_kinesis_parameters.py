"""Every limit of every parameter, as botocore's own model of the API says it: out of range gives AWS's error name."""

import base64
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import botocore.loaders
import httpx
import orjson
import pytest

from kinesis.model import table
from tests.fixtures.kinesis import Kinesis, unique_stream

pytestmark = pytest.mark.contract

MODEL: Any = botocore.loaders.Loader().load_service_model("kinesis", "service-2")
SHAPES = MODEL["shapes"]
OPERATIONS = sorted(table()["operations"])
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"
Path = tuple[str | int, ...]


def good(stream: str) -> dict[str, dict[str, Any]]:
    """A valid request of each operation (to a stream that isn't there, where it would change one)."""
    named = {"StreamName": stream}
    gone = {"StreamName": "not-there"}
    record = {"Data": "", "PartitionKey": "a"}
    return {
        "AddTagsToStream": {**gone, "Tags": {"a": "b"}},
        "CreateStream": {**named, "ShardCount": 1},
        "DecreaseStreamRetentionPeriod": {**gone, "RetentionPeriodHours": 24},
        "DeleteStream": gone,
        "DescribeLimits": {},
        "DescribeStream": named,
        "DescribeStreamSummary": named,
        "GetRecords": {"ShardIterator": "AAAA"},
        "GetShardIterator": {**named, "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"},
        "IncreaseStreamRetentionPeriod": {**gone, "RetentionPeriodHours": 24},
        "ListShards": named,
        "ListStreams": {},
        "ListTagsForResource": {"ResourceARN": ARN + stream},
        "ListTagsForStream": named,
        "MergeShards": {**gone, "ShardToMerge": "shardId-0", "AdjacentShardToMerge": "shardId-1"},
        "PutRecord": {**named, **record},
        "PutRecords": {**named, "Records": [record]},
        "RemoveTagsFromStream": {**gone, "TagKeys": ["a"]},
        "SplitShard": {**gone, "ShardToSplit": "shardId-0", "NewStartingHashKey": "10"},
        "TagResource": {"ResourceARN": ARN + "not-there", "Tags": {"a": "b"}},
        "UntagResource": {"ResourceARN": ARN + "not-there", "TagKeys": ["a"]},
        "UpdateShardCount": {**gone, "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"},
        "UpdateStreamMode": {"StreamARN": ARN + "not-there", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
    }


def text_of(shape: dict[str, Any], length: int) -> str:
    """Return a text of a length that fits the shape's pattern, if it has one."""
    pattern = shape.get("pattern", "")
    if pattern.startswith("arn"):
        return ARN + "a" * max(1, length - len(ARN))
    if "[a-z0-9]{20}" in pattern:
        return "a" * 20 + "-" + "a" * (length - 21)
    return "1" * length


def violations(name: str) -> Iterator[Any]:
    """Return values that a shape's limits don't allow."""
    shape = SHAPES[name]
    low, high, kind = shape.get("min"), shape.get("max"), shape["type"]
    if kind in ("integer", "long"):
        yield from ([low - 1] if low is not None else []) + ([high + 1] if high is not None else [])
    elif kind == "string":
        if low:
            yield ""
        if high is not None:
            yield text_of(shape, high + 1)
        if "pattern" in shape:
            yield "no match: \u00e9 \n"
        if "enum" in shape:
            yield "NO_SUCH_VALUE"
    elif kind == "blob":
        yield base64.b64encode(b"x" * (high + 1)).decode()
    elif kind == "list":
        if low:
            yield []
        if high is not None:
            yield [{"Data": "", "PartitionKey": "a"} if name == "PutRecordsRequestEntryList" else "a"] * (high + 1)
    elif kind == "map":
        if low:
            yield {}
        yield {f"k{i}": "v" for i in range(high + 1)}
        yield {"k" * (SHAPES[shape["key"]["shape"]]["max"] + 1): "v"}
        yield {"": "v"}
        yield {"k": "v" * (SHAPES[shape["value"]["shape"]]["max"] + 1)}


def walk(name: str, path: Path) -> Iterator[tuple[Path, Any]]:
    """Return every place in a shape with a value that isn't allowed there; a missing required member is None."""
    shape = SHAPES[name]
    if shape["type"] == "structure":
        for member, of in shape["members"].items():
            if member in shape.get("required", ()):
                yield (*path, member), None
            yield from walk(of["shape"], (*path, member))
        return
    for value in violations(name):
        yield path, value
    if shape["type"] == "list":
        yield from walk(shape["member"]["shape"], (*path, 0))


def placed(request: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Return the request with a value at a place; None takes it away."""
    copy = orjson.loads(orjson.dumps(request))
    here = copy
    for step, after in pairwise(path):
        if isinstance(step, str):
            here = here.setdefault(step, [None] if after == 0 else {})
        else:
            here[step] = {} if here[step] is None else here[step]
            here = here[step]
    last: Any = path[-1]
    if value is None:
        here.pop(last, None)
    elif isinstance(last, int):
        here[:] = [value]
    else:
        here[last] = value
    return copy  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def stream(kinesis: Kinesis) -> str:
    return unique_stream(1, kinesis.client())


@pytest.fixture(scope="module")
def http(kinesis: Kinesis) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=kinesis.url, timeout=30) as found:
        yield found


def call(http: httpx.Client, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send a request that no client has checked."""
    answer = http.post(
        "/",
        content=orjson.dumps(request),
        headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": f"Kinesis_20131202.{operation}"},
    )
    return answer.status_code, orjson.loads(answer.content or b"{}")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_value_out_of_range_is_a_validation_exception(operation: str, http: httpx.Client, stream: str) -> None:
    request = good(stream)[operation]
    tried = 0
    for path, value in walk(MODEL["operations"][operation]["input"]["shape"], ()):
        status, body = call(http, operation, placed(request, path, value))
        where = f"{operation} {path} {str(value)[:60]}: {str(body)[:300]}"
        assert (status, body.get("__type")) == (400, "ValidationException"), where
        name = "".join(f".{step[0].lower()}{step[1:]}" for step in path if isinstance(step, str))
        assert path[-1] == 0 or f"{name[1:].split('.')[-1]}' failed to satisfy constraint" in body["message"], where
        tried += 1
    assert tried or operation == "DescribeLimits"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_valid_request_is_no_validation_exception(operation: str, http: httpx.Client, stream: str) -> None:
    status, body = call(http, operation, good(stream)[operation])
    assert body.get("__type") not in ("ValidationException", "SerializationException"), body
    assert status in (200, 400)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_error_is_one_that_the_model_names(operation: str, http: httpx.Client) -> None:
    named = {error["shape"] for error in MODEL["operations"][operation].get("errors", [])}
    status, body = call(http, operation, good("stream-that-is-nowhere")[operation])
    if operation == "CreateStream":
        call(http, "DeleteStream", {"StreamName": "stream-that-is-nowhere"})
    if status != 200:
        assert body["__type"] in named, body


@pytest.mark.parametrize(
    ("hours", "operation"), [(23, "Decrease"), (0, "Increase"), (-5, "Decrease"), (8761, "Increase")]
)
def test_retention_has_its_limits_in_its_texts(hours: int, operation: str, http: httpx.Client, stream: str) -> None:
    request = {"StreamName": stream, "RetentionPeriodHours": hours}
    _, body = call(http, f"{operation}StreamRetentionPeriod", request)
    assert body["__type"] == "InvalidArgumentException"


def test_a_record_above_the_size_of_its_stream_is_refused(http: httpx.Client, stream: str, kinesis: Kinesis) -> None:
    data = base64.b64encode(b"x" * (1024 * 1024 - 1)).decode()
    for key, expected in (("k", 200), ("kk", 400)):
        status, body = call(http, "PutRecord", {"StreamName": stream, "Data": data, "PartitionKey": key})
        assert status == expected, body
        status, _ = call(http, "PutRecords", {"StreamName": stream, "Records": [{"Data": data, "PartitionKey": key}]})
        assert status == expected
    large = unique_stream(1, kinesis.client(), MaxRecordSizeInKiB=10240)
    data = base64.b64encode(b"x" * (10 * 1024 * 1024 - 1)).decode()
    status, body = call(http, "PutRecord", {"StreamName": large, "Data": data, "PartitionKey": "k"})
    assert status == 200, body
    iterator = {"StreamName": large, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    _, body = call(http, "GetShardIterator", iterator)
    _, body = call(http, "GetRecords", body)
    assert [record["Data"] == data for record in body["Records"]] == [True]


def test_records_above_ten_mebibytes_together_are_refused(http: httpx.Client, stream: str) -> None:
    data = base64.b64encode(b"x" * 1_000_000).decode()
    for count, expected in ((10, 200), (11, 400)):
        records = [{"Data": data, "PartitionKey": "k"}] * count
        status, body = call(http, "PutRecords", {"StreamName": stream, "Records": records})
        assert status == expected, str(body)[:300]
    assert body["__type"] == "InvalidArgumentException"


def test_a_request_names_its_stream_by_name_or_arn(http: httpx.Client) -> None:
    for operation in ("PutRecord", "DescribeStream", "ListShards", "SplitShard"):
        request = {key: value for key, value in good("s")[operation].items() if key != "StreamName"}
        _, body = call(http, operation, request)
        assert body["__type"] == "InvalidArgumentException", operation
