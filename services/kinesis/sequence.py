"""Sequence numbers, shard ids and hash keys.

A sequence number has AWS's shape: 56 digits, the first hexadecimal digit a 2. Its fields, from the highest: second of
the shard's creation (36 bits), position (64), second of the stream's creation (36), shard (32), version (16). So
numbers grow within a shard with the position, and are greater in a child than in its parents, which are older.
A record at Kafka's offset n has position n + 1; position 0 is the shard's start.
"""

import hashlib
from typing import NamedTuple

HASH_KEYS = 1 << 128
"""Hash keys are 0 to this minus 1."""
SHARD_INDEX_LIMIT = 1 << 32

_POSITION = 84
_VERSION = 2


class Sequence(NamedTuple):
    """The fields of a sequence number."""

    shard_created: int
    position: int
    stream_epoch: int
    shard: int


POSITION_UNIT = 1 << _POSITION
"""The distance of the sequence numbers of two neighbouring records."""


def encode(sequence: Sequence) -> int:
    """Return the sequence number; its decimal text has 56 digits.

    >>> len(str(encode(Sequence(1_700_000_000, 1, 1_700_000_000, 3))))
    56
    """
    return (
        2 << 184
        | sequence.shard_created << 148
        | sequence.position << _POSITION
        | sequence.stream_epoch << 48
        | sequence.shard << 16
        | _VERSION
    )


def decode(text: str) -> Sequence | None:
    """Return the fields of a sequence number, None for a text that isn't one of this service's."""
    if len(text) != 56:
        return None
    number = int(text)
    if number >> 184 != 2 or number & 0xFFFF != _VERSION:
        return None
    return Sequence(
        shard_created=number >> 148 & 0xFFFFFFFFF,
        position=number >> _POSITION & 0xFFFFFFFFFFFFFFFF,
        stream_epoch=number >> 48 & 0xFFFFFFFFF,
        shard=number >> 16 & 0xFFFFFFFF,
    )


def shard_id(index: int) -> str:
    """Return a shard's id.

    >>> shard_id(7)
    'shardId-000000000007'
    """
    return f"shardId-{index:012d}"


def shard_index(text: str) -> int | None:
    """Return the index in a shard id, which AWS also takes as any prefix and number; None if there is none.

    >>> shard_index("shardId-000000000007"), shard_index("7"), shard_index("shard")
    (7, 7, None)
    """
    digits = text.rpartition("-")[2]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        return None
    index = int(digits)
    return index if index < SHARD_INDEX_LIMIT else None


def hash_key(partition_key: str) -> int:
    """Return the hash key of a partition key: its MD5 as a number, as AWS computes it."""
    return int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest(), "big")


def uniform_ranges(count: int) -> list[tuple[int, int]]:
    """Return first and last hash key of each of `count` shards that share the key space, as AWS divides it."""
    width = HASH_KEYS // count
    return [(i * width, (i + 1) * width - 1 if i < count - 1 else HASH_KEYS - 1) for i in range(count)]
