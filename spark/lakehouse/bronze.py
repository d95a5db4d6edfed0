"""The objects in S3 as lines: which are new, in chunks of bounded size, each line with its object and its number.

Only what comes after the last object that was done is listed, folder by folder; keys sort as their offsets do.
An object never changes, so reading one again gives the same lines.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from pinline.events import EventType
from pinline.objects import topic_prefix
from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 128 * 2**20
CHUNK_OBJECTS = 50_000
_SUFFIXES = (".json", ".json.gz")
_FEW = 32
"""Up to here objects are opened by name; beyond, listing their folder once is cheaper than asking for each."""


@dataclass(frozen=True)
class BronzeObject:
    """An object of a topic."""

    key: str
    partition: int
    size: int


def partitions(s3: "S3Client", settings: Settings, event: EventType) -> list[int]:
    """Return the partitions that have a folder, in order."""
    prefix = topic_prefix(event.topic(settings.user_id)) + "partition="
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=settings.bucket, Prefix=prefix, Delimiter="/")
    names = [
        item["Prefix"].removeprefix(prefix).rstrip("/") for page in pages for item in page.get("CommonPrefixes", [])
    ]
    return sorted(int(name) for name in names if name.isdecimal())


def new_objects(
    s3: "S3Client", settings: Settings, event: EventType, done: Mapping[int, str]
) -> Iterator[BronzeObject]:
    """Yield the objects that come after `done` (partition → key of the last one), by partition and key."""
    for partition in partitions(s3, settings, event):
        prefix = _folder(settings, event, partition)
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=settings.bucket, Prefix=prefix, StartAfter=done.get(partition, prefix)
        )
        for page in pages:
            for item in page.get("Contents", []):
                key = item["Key"]
                if key.endswith(_SUFFIXES) and "/" not in key.removeprefix(prefix):
                    yield BronzeObject(key, partition, item["Size"])


def chunks(
    objects: Iterable[BronzeObject], max_bytes: int = CHUNK_BYTES, max_objects: int = CHUNK_OBJECTS
) -> Iterator[list[BronzeObject]]:
    """Yield `objects` in order in lists that are bounded in bytes and number; a larger object is alone in its list."""
    chunk: list[BronzeObject] = []
    size = 0
    for item in objects:
        weight = item.size * (8 if item.key.endswith(".gz") else 1)
        if chunk and (size + weight > max_bytes or len(chunk) >= max_objects):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += weight
    if chunk:
        yield chunk


def read_lines(spark: SparkSession, settings: Settings, event: EventType, chunk: list[BronzeObject]) -> DataFrame:
    """Return the lines of a chunk: `_object`, `_line` (from 0), `_partition`, `raw`."""
    root = f"s3a://{settings.bucket}/"
    reader = spark.read
    path = F.col("_metadata.file_path")
    if len(chunk) <= _FEW:
        texts = reader.text([root + item.key for item in chunk], wholetext=True)
    else:
        by_partition: dict[int, list[str]] = {}
        for item in chunk:
            by_partition.setdefault(item.partition, []).append(root + item.key)
        folders = [root + _folder(settings, event, partition) for partition in by_partition]
        wanted = F.lit(False)
        for keys in by_partition.values():
            wanted |= path.between(keys[0], keys[-1])
        texts = reader.option("pathGlobFilter", "*.{json,json.gz}").text(folders, wholetext=True).where(wanted)
    name = F.substring(path, len(root) + 1, 2000).alias("_object")
    partition = F.regexp_extract("_object", r"partition=(\d+)/", 1).cast("int").alias("_partition")
    pieces = F.split("value", "\n")
    # what follows the last newline is a line only if there is something
    whole = F.when(F.element_at(pieces, -1) == "", F.slice(pieces, 1, F.size(pieces) - 1)).otherwise(pieces)
    lines = texts.select(name, F.posexplode(whole).alias("_line", "raw"))
    return lines.select("_object", "_line", partition, "raw")


def _folder(settings: Settings, event: EventType, partition: int) -> str:
    return f"{topic_prefix(event.topic(settings.user_id))}partition={partition}/"
