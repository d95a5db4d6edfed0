"""The bodies of requests and answers: AWS JSON 1.1 and CBOR.

In Python an answer is a dictionary whose timestamps are `Timestamp` and whose blobs are bytes. JSON gets them as
seconds and base64; CBOR as milliseconds under tag 1 and as byte strings, as AWS's SDKs for Java expect.
"""

import binascii
from typing import Any

import cbor2
import orjson

from kinesis.errors import serialization

JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"


class Timestamp(int):
    """Milliseconds since 1970."""


def _epoch(value: Any, _immutable: bool) -> Any:
    return value


_PLAIN_TIMES: dict[int, Any] = {0: _epoch, 1: _epoch}


def decode(body: bytes, content_type: str) -> dict[str, Any]:
    """Return a request's body. Raises SerializationException for anything that isn't a map."""
    try:
        value = (
            cbor2.loads(body, semantic_decoders=_PLAIN_TIMES, max_depth=64)
            if content_type == CBOR
            else orjson.loads(body)
        )
    except Exception:  # a decoder may raise anything on bytes that a stranger made
        raise serialization() from None
    if type(value) is not dict:
        raise serialization()
    return value


def encode(value: dict[str, Any], content_type: str) -> bytes:
    """Return an answer's body."""
    if content_type == CBOR:
        return cbor2.dumps(_for_cbor(value))
    return orjson.dumps(_for_json(value))


def _for_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _for_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_for_json(item) for item in value]
    if isinstance(value, Timestamp):
        return value / 1000
    if isinstance(value, bytes):
        return base64(value)
    return value


def _for_cbor(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _for_cbor(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_for_cbor(item) for item in value]
    if isinstance(value, Timestamp):
        return cbor_time(int(value))
    return value


def base64(value: bytes) -> str:
    """Return base64 text."""
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def encode_plain(value: dict[str, Any], content_type: str) -> bytes:
    """Return the body of an answer that holds text and numbers only."""
    return cbor2.dumps(value) if content_type == CBOR else orjson.dumps(value)


def cbor_time(milliseconds: int) -> cbor2.CBORTag:
    """Return a time for CBOR."""
    return cbor2.CBORTag(1, milliseconds)
