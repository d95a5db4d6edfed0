"""Names and metadata of the objects that the sink writes: `topics/<topic>/partition=<p>/<topic>+<p>+<offset>.json`.

The name comes from the first record's offset (Confluent's DefaultPartitioner); the metadata says which offsets
the object covers, so that S3 alone tells where a partition's next object begins.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

TOPICS_DIR = "topics"
_KEY = re.compile(r"(?P<topic>[^/+]+)\+(?P<partition>\d+)\+(?P<offset>\d{10,})\.json(?:\.gz)?$")


@dataclass(frozen=True)
class ObjectName:
    """What an object's key tells."""

    topic: str
    partition: int
    first_offset: int


def partition_prefix(topic: str, partition: int, topics_dir: str = TOPICS_DIR) -> str:
    """Return the folder of one partition's objects, with its final slash."""
    return f"{topic_prefix(topic, topics_dir)}partition={partition}/"


def topic_prefix(topic: str, topics_dir: str = TOPICS_DIR) -> str:
    """Return the folder of one topic's partitions, with its final slash."""
    return f"{topics_dir}/{topic}/"


def object_key(
    topic: str, partition: int, first_offset: int, *, topics_dir: str = TOPICS_DIR, suffix: str = ".json"
) -> str:
    """Return the key of the object whose first record has `first_offset`. Keys sort as their offsets do."""
    return f"{partition_prefix(topic, partition, topics_dir)}{topic}+{partition}+{first_offset:010d}{suffix}"


def parse_key(key: str) -> ObjectName | None:
    """Return what `key` tells, or None if it isn't a name that the sink gives."""
    match = _KEY.fullmatch(key.rpartition("/")[2])
    return match and ObjectName(match["topic"], int(match["partition"]), int(match["offset"]))


@dataclass(frozen=True)
class ObjectRange:
    """The user metadata of an object: which offsets it covers.

    `last_offset` is the last offset *consumed* into it: dead letters and null values between the records, and after
    the last one, count. The next object of the partition begins after it.
    """

    topic_id: str
    first_offset: int
    last_offset: int
    record_count: int

    def to_metadata(self) -> dict[str, str]:
        """Return S3 user metadata (the `x-amz-meta-` names without that prefix)."""
        return {
            "kafka-topic-id": self.topic_id,
            "first-offset": str(self.first_offset),
            "last-offset": str(self.last_offset),
            "record-count": str(self.record_count),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "ObjectRange | None":
        """Read user metadata; None if it isn't ours."""
        try:
            return cls(
                metadata["kafka-topic-id"],
                int(metadata["first-offset"]),
                int(metadata["last-offset"]),
                int(metadata["record-count"]),
            )
        except (KeyError, ValueError):
            return None
