"""The tutorial's mapping templates: what each request for a stream becomes for Kinesis.

The stream is always that of the path. `PUT .../record` stores the JSON text of `Data` (a string with its quotes),
`PUT .../records` the text of each `data` (a string without them; what is no string as Java prints it, so clients send
strings there). Bodies that Kinesis would refuse are refused here, by the name of AWS's error, before it is asked.
Source: "Tutorial: Create a REST API as an Amazon Kinesis proxy" of the API Gateway developer guide.
"""

import base64
import re
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.protocol import ProxyError
from gateway.records import read_json

DEFAULT_SHARDS = 5
_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_KEY_LENGTH = 256
_RECORDS = 500
_TOTAL_BYTES = 10 * 1024 * 1024


class RefusedError(Exception):
    """Kinesis would refuse the request, for this reason (400)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class NotJsonError(Exception):
    """API Gateway can't read the body as JSON, for this reason."""


def create_stream(stream: str, body: bytes) -> bytes:
    """Return CreateStream's body: `ShardCount` of the request, or 5."""
    request = _object(body) if body else {}
    return _action(stream, ShardCount=request.get("ShardCount", DEFAULT_SHARDS))


def of_stream(stream: str) -> bytes:
    """Return the body of DescribeStream and DeleteStream."""
    return _action(stream)


def put_record(stream: str, body: bytes) -> bytes:
    """Return PutRecord's body."""
    value, store = read(body)
    request = _is_object(value)
    if "Data" not in request:
        raise _invalid("Value null at 'data' failed to satisfy constraint: Member must not be null")
    data = _storable(store, request["Data"])
    key = _key(request.get("PartitionKey"), "partitionKey")
    _check_size(len(data) + len(key.encode()))
    return _action(stream, Data=base64.b64encode(data).decode(), PartitionKey=key)


def put_records(stream: str, body: bytes) -> bytes:
    """Return PutRecords' body."""
    value, _ = read(body)
    entries = _is_object(value).get("records")
    if not isinstance(entries, list) or not 1 <= len(entries) <= _RECORDS:
        count = len(entries) if isinstance(entries, list) else 0
        bound = f"less than or equal to {_RECORDS}" if count else "greater than or equal to 1"
        raise _invalid(
            f"Value of {count} records at 'records' failed to satisfy constraint: Member must have length {bound}"
        )
    records = list(_records(entries))
    _check_size(sum(len(data) + len(key.encode()) for data, key in records))
    stored = [{"Data": base64.b64encode(data).decode(), "PartitionKey": key} for data, key in records]
    return _action(stream, Records=stored)


def get_shard_iterator(stream: str, shard: str) -> bytes:
    """Return GetShardIterator's body: the shard's begin."""
    return _action(stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")


def get_records(iterator: str) -> bytes:
    """Return GetRecords' body."""
    return orjson.dumps({"ShardIterator": iterator})


def read(body: bytes) -> tuple[Any, Any]:
    """Return a body's value and the function that stores its parts as JSON. Raises NotJsonError."""
    try:
        return read_json(body)
    except ProxyError as error:
        raise NotJsonError(error.message) from None


def java_text(value: object) -> str:
    """Return a value as Velocity prints it: text as it is, the others as Java does.

    >>> java_text({"a": 1, "b": [True, None]})
    '{a=1, b=[true, null]}'
    """
    match value:
        case str():
            return value
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f"{name}={java_text(part)}" for name, part in value.items()) + "}"
        case list():
            return "[" + ", ".join(java_text(part) for part in value) + "]"
        case _:
            return str(value)


def _records(entries: list[Any]) -> Iterator[tuple[bytes, str]]:
    for number, entry in enumerate(entries, start=1):
        where = f"records.{number}.member"
        fields = entry if isinstance(entry, dict) else {}
        if fields.get("data") is None:
            raise _invalid(f"Value null at '{where}.data' failed to satisfy constraint: Member must not be null")
        yield _text(fields["data"]), _key(fields.get("partition-key"), f"{where}.partitionKey")


def _action(stream: str, **fields: object) -> bytes:
    if not _STREAM_NAME.fullmatch(stream):
        raise _invalid(
            f"Value {stream[:200]!r} at 'streamName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+ and have at most 128 characters"
        )
    return orjson.dumps({"StreamName": stream, **fields})


def _object(body: bytes) -> dict[str, Any]:
    return _is_object(read(body)[0])


def _is_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotJsonError("expected an object")
    return value


def _storable(store: Any, value: object) -> bytes:
    try:
        stored: bytes = store(value)
    except ProxyError as error:
        raise NotJsonError(error.message) from None
    return stored


def _text(value: object) -> bytes:
    return java_text(value).encode()


def _key(value: object, where: str) -> str:
    key = "" if value is None else java_text(value)
    if not 1 <= len(key) <= _KEY_LENGTH:
        bound = f"less than or equal to {_KEY_LENGTH}" if key else "greater than or equal to 1"
        raise _invalid(f"Value {key[:20]!r} at '{where}' failed to satisfy constraint: Member must have length {bound}")
    return key


def _check_size(size: int) -> None:
    if size > _TOTAL_BYTES:
        raise RefusedError("InvalidArgumentException", f"Records size exceeds {_TOTAL_BYTES:,} bytes: {size:,}")


def _invalid(what: str) -> RefusedError:
    return RefusedError("ValidationException", f"1 validation error detected: {what}")
