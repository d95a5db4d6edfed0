"""Shard iterators and paging tokens: signed positions, which no process remembers.

An iterator holds the stream's name and epoch, the shard, the offset to read next and when it was made; a token for
the next page any JSON. Both are signed by HMAC-SHA256 with the key that all instances share, and work on all of them.
"""

import binascii
import hmac
import struct
import time
from typing import Any, NamedTuple

import orjson

from kinesis.errors import KinesisError, invalid_argument

LIFETIME_MS = 300_000
_ITERATOR = struct.Struct(">QQIQQ")
_ITERATOR_VERSION = 1
_PAGE_VERSION = 2
_SIGNATURE = 20


class Position(NamedTuple):
    """Where to read next: an offset of a shard of a stream."""

    stream: str
    epoch: int
    shard: int
    offset: int


def encode_position(key: bytes, position: Position, now_ms: int) -> str:
    """Return a shard iterator."""
    head = _ITERATOR.pack(_ITERATOR_VERSION, position.epoch, position.shard, position.offset, now_ms)
    return _signed(key, head + position.stream.encode())


def decode_position(key: bytes, text: str, now_ms: int) -> Position:
    """Return what an iterator holds. Raises InvalidArgumentException (forged) and ExpiredIteratorException."""
    body = _verified(key, text)
    if body is None or len(body) <= _ITERATOR.size:
        raise invalid_argument("Invalid ShardIterator.")
    version, epoch, shard, offset, made_ms = _ITERATOR.unpack_from(body)
    if version != _ITERATOR_VERSION:
        raise invalid_argument("Invalid ShardIterator.")
    if now_ms - made_ms > LIFETIME_MS:
        raise KinesisError(
            "ExpiredIteratorException",
            f"Iterator expired. The iterator was created at time {_shown(made_ms)} while right now it is "
            f"{_shown(now_ms)} which is further in the future than the tolerated delay of {LIFETIME_MS} milliseconds.",
        )
    return Position(body[_ITERATOR.size :].decode(), epoch, shard, offset)


def encode_page(key: bytes, value: dict[str, Any], now_ms: int) -> str:
    """Return a token for the next page, which holds `value`."""
    return _signed(key, struct.pack(">QQ", _PAGE_VERSION, now_ms) + orjson.dumps(value))


def decode_page(key: bytes, text: str, now_ms: int) -> dict[str, Any]:
    """Return what a token holds. Raises InvalidArgumentException (forged) and ExpiredNextTokenException."""
    body = _verified(key, text)
    if body is None or len(body) < 16 or struct.unpack_from(">Q", body)[0] != _PAGE_VERSION:
        raise invalid_argument("Invalid NextToken.")
    if now_ms - struct.unpack_from(">Q", body, 8)[0] > LIFETIME_MS:
        raise KinesisError("ExpiredNextTokenException", "The pagination token is expired.")
    value: dict[str, Any] = orjson.loads(body[16:])
    return value


def _signed(key: bytes, body: bytes) -> str:
    return binascii.b2a_base64(body + _signature(key, body), newline=False).decode()


def _verified(key: bytes, text: str) -> bytes | None:
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    body, signature = raw[:-_SIGNATURE], raw[-_SIGNATURE:]
    return body if hmac.compare_digest(_signature(key, body), signature) else None


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_SIGNATURE]


def _shown(ms: int) -> str:
    return time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(ms / 1000))
