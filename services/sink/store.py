"""The object store as the sink needs it: a small protocol, S3 behind it, and the search for a partition's position.

`put_new` is the only write, and never replaces an object.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from pinline import objects
from pinline.errors import StateError, UnreachableError
from pinline.objects import ObjectRange

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONSUMED_FROM = "consumed-from"
"""Metadata beside ObjectRange's: the first offset consumed, where dead letters and nulls lead an object."""
REFILLED_TO = "refilled-to"
"""Metadata of an object that fills a hole: the first offset after the hole."""
_AFTER_SUFFIX = "~"  # sorts after `.json` and `.json.gz`
_LARGEST = 10**10 - 1  # the largest offset whose name sorts as its number


class StoreError(Exception):
    """A call to the store failed (5xx, 409, time-out, no connection): nothing is known about its effect."""


class ObjectExistsError(Exception):
    """The store answered 412: there is an object of that name."""


class ObjectStore(Protocol):
    """What the sink asks of a store. Every method may raise StoreError."""

    def put_new(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Store an object; ObjectExistsError if there is one of that name."""

    def head(self, key: str) -> Mapping[str, str] | None:
        """Return an object's user metadata, or None if there is no such object."""

    def list_after(self, prefix: str, after: str) -> tuple[list[str], bool]:
        """Return the first (up to 1,000) keys with `prefix` that sort after `after`, and whether there are more."""

    def delete(self, key: str) -> None:
        """Remove an object; none of that name is no error."""


class S3Store:
    """The real store: one bucket."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_new(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """PUT with `If-None-Match: *`."""
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                Metadata=dict(metadata),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if _status(error) == HTTPStatus.PRECONDITION_FAILED:
                raise ObjectExistsError(key) from None
            raise StoreError(f"PUT {key}: {error}") from error
        except BotoCoreError as error:
            raise StoreError(f"PUT {key}: {error}") from error

    def head(self, key: str) -> Mapping[str, str] | None:
        """HEAD; a bucket that is gone holds no object either."""
        try:
            return self._client.head_object(Bucket=self._bucket, Key=key)["Metadata"]
        except ClientError as error:
            if _status(error) == HTTPStatus.NOT_FOUND:
                return None
            raise StoreError(f"HEAD {key}: {error}") from error
        except BotoCoreError as error:
            raise StoreError(f"HEAD {key}: {error}") from error

    def list_after(self, prefix: str, after: str) -> tuple[list[str], bool]:
        """ListObjectsV2, one page."""
        try:
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, StartAfter=after)
        except (ClientError, BotoCoreError) as error:
            raise StoreError(f"list {prefix}: {error}") from error
        return [item["Key"] for item in page.get("Contents", [])], page["IsTruncated"]

    def delete(self, key: str) -> None:
        """DELETE."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise StoreError(f"DELETE {key}: {error}") from error

    def check(self, address: str) -> None:
        """Raise StateError if the bucket is missing, UnreachableError if the store at `address` doesn't answer."""
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if _status(error) == HTTPStatus.NOT_FOUND:
                raise StateError(
                    f"the sink looked for the bucket {self._bucket} (S3_BUCKET) at {address} and it does not exist. "
                    "`make up` makes it."
                ) from None
            raise StateError(f"the sink may not use the bucket {self._bucket} at {address}: {error}") from None
        except BotoCoreError as error:
            raise UnreachableError("S3", address, "AWS_ENDPOINT_URL_S3", error) from error


def probe(store: ObjectStore) -> None:
    """PUT one object twice and raise StateError unless the second PUT is refused with 412."""
    key = f"_pinline/probe-{uuid4()}"
    try:
        store.put_new(key, b"", {})
        try:
            store.put_new(key, b"", {})
        except ObjectExistsError:
            return
        raise StateError(
            "the S3 store accepted two PUTs of one key with `If-None-Match: *`; it does not do conditional writes, "
            "without which the sink can't promise exactly once. Use AWS S3, MiniStack, LocalStack 4 or MinIO."
        )
    finally:
        store.delete(key)


@dataclass(frozen=True)
class LastObject:
    """A partition's last object, and where the partition's objects begin."""

    key: str
    range: ObjectRange | None
    """None if the metadata isn't the sink's."""
    covered_from: int
    """The first offset that the partition's first object covers."""
    hole: tuple[int, int] | None
    """A refill that was broken off: the first offset that lacks, and the first after it that is there."""


def last_object(store: ObjectStore, topics_dir: str, topic: str, partition: int) -> LastObject | None:
    """Find a partition's last object, by halving the offsets: some ten requests however many objects there are.

    Returns None if the partition has none. Raises StoreError.
    """
    prefix = f"{objects.partition_prefix(topic, partition, topics_dir)}{topic}+{partition}+"
    keys, more = store.list_after(prefix, prefix)
    keys = [key for key in keys if objects.parse_key(key)]
    if not keys:
        return None
    last = _search(store, prefix, keys[-1], _LARGEST) if more else keys[-1]
    first = _metadata(store, keys[0])
    hole = None
    if REFILLED_TO in first and (ceiling := int(first[REFILLED_TO])) > _offset(keys[0]):
        before = ObjectRange.from_metadata(_metadata(store, _search(store, prefix, keys[0], ceiling - 1)))
        if before and before.last_offset + 1 < ceiling:
            hole = (before.last_offset + 1, ceiling)
    covered_from = int(first.get(CONSUMED_FROM, _offset(keys[0])))
    return LastObject(last, ObjectRange.from_metadata(_metadata(store, last)), covered_from, hole)


def _search(store: ObjectStore, prefix: str, known: str, high: int) -> str:
    """Return the last key whose offset is at most `high`; `known` is one."""
    last, low = known, _offset(known)
    while low < high:
        middle = (low + high) // 2
        found, more = store.list_after(prefix, f"{prefix}{middle:010d}{_AFTER_SUFFIX}")
        within = [key for key in found if objects.parse_key(key) and _offset(key) <= high]
        if not within:
            high = middle
            continue
        last, low = within[-1], _offset(within[-1])
        if not more or len(within) < len(found):
            break
    return last


def _metadata(store: ObjectStore, key: str) -> Mapping[str, str]:
    metadata = store.head(key)
    if metadata is None:
        raise StoreError(f"{key} was listed and is gone")
    return metadata


def _offset(key: str) -> int:
    name = objects.parse_key(key)
    return name.first_offset if name else 0


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
