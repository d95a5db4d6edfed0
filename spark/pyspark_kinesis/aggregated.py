"""Records of the Kinesis Producer Library that hold several user records, taken apart.

The format: four magic bytes, a protobuf message, its MD5
(github.com/awslabs/amazon-kinesis-producer, aggregation-format.md). Like the client library, what has the magic bytes
and not the MD5 is taken for a plain record, and user records whose hash key isn't the shard's are left out: they
were put before a split or merge, and the producer sends them again.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"\xf3\x89\x9a\xc2"
_MD5_SIZE = 16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class UserRecord(NamedTuple):
    """What a producer put."""

    key: str
    data: bytes


def take_apart(data: bytes, hashes: tuple[int, int]) -> list[UserRecord] | None:
    """Return the user records of a shard with that range of hash keys, or None if `data` isn't aggregated.

    Raises ValueError if the message is damaged although its MD5 is right.
    """
    body = data[len(MAGIC) : -_MD5_SIZE]
    if not data.startswith(MAGIC) or not body or hashlib.md5(body, usedforsecurity=False).digest() != data[-_MD5_SIZE:]:
        return None
    keys: list[str] = []
    hash_keys: list[int] = []
    messages: list[bytes] = []
    for number, value in _fields(body):
        if isinstance(value, int):
            continue
        if number == 1:
            keys.append(value.decode())
        elif number == 2:
            hash_keys.append(int(value))
        elif number == 3:
            messages.append(value)
    try:
        return list(_users(messages, keys, hash_keys, hashes))
    except IndexError:
        raise ValueError("a record names a key that isn't in the table of keys") from None


def _users(
    messages: list[bytes], keys: list[str], hash_keys: list[int], hashes: tuple[int, int]
) -> Iterator[UserRecord]:
    for message in messages:
        found = dict(_fields(message))
        key, data = keys[_index(found[1])] if 1 in found else keys[0], found.get(3, b"")
        if isinstance(data, int):
            raise ValueError("a record's data is a number")  # noqa: TRY004  # the message is what is wrong
        if 2 in found:
            hash_key = hash_keys[_index(found[2])]
        else:
            hash_key = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())
        if hashes[0] <= hash_key <= hashes[1]:
            yield UserRecord(key, data)


def _index(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a record's key is no number")  # noqa: TRY004
    return value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield a message's fields: number and value."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = _varint(message, at)
            yield tag >> 3, number
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if at + size > len(message):
            raise ValueError("a field goes on after the message's end")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("a number goes on after the message's end")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
