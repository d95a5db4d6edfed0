"""Read what the sink wrote: the objects of a topic, the offsets that each covers, and its lines."""

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pinline.errors import StateError, UnreachableError
from pinline.objects import ObjectRange, parse_key, topic_prefix
from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARALLEL = 8
_SERVERS_FAULT = 500


@dataclass(frozen=True)
class StoredObject:
    """One object of a topic."""

    key: str
    partition: int
    range: ObjectRange | None
    """None if its metadata isn't the sink's."""


def list_keys(
    s3: "S3Client", settings: Settings, prefix: str, *, start_after: str = "", page: int = 1000
) -> Iterator[tuple[str, int]]:
    """Yield key and size in bytes of each object under `prefix`, sorted by key, those after `start_after` only.

    They are asked for `page` at a time.
    """
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=settings.bucket, Prefix=prefix, StartAfter=start_after, PaginationConfig={"PageSize": page}
    )
    with s3_errors(settings):
        for listed in pages:
            for item in listed.get("Contents", []):
                yield item["Key"], item["Size"]


def topic_objects(s3: "S3Client", settings: Settings, topic: str) -> list[StoredObject]:
    """Return the objects of `topic` with the offsets that they cover: a listing, and a HEAD an object."""
    keys = [key for key, _ in list_keys(s3, settings, topic_prefix(topic)) if parse_key(key)]
    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(lambda key: head(s3, settings, key), keys))


def head(s3: "S3Client", settings: Settings, key: str) -> StoredObject:
    """Return one object's partition and range. `key` has to be a name that the sink gives."""
    name = parse_key(key)
    if name is None:
        raise ValueError(f"{key} is not a name that the sink gives")
    with s3_errors(settings):
        metadata = s3.head_object(Bucket=settings.bucket, Key=key)["Metadata"]
    return StoredObject(key, name.partition, ObjectRange.from_metadata(metadata))


def lines(s3: "S3Client", settings: Settings, key: str) -> list[bytes]:
    """Return the lines of an object, without their ends."""
    with s3_errors(settings):
        body = s3.get_object(Bucket=settings.bucket, Key=key)["Body"].read()
    if key.endswith(".gz"):
        body = gzip.decompress(body)
    return body.removesuffix(b"\n").split(b"\n") if body else []


class s3_errors:  # noqa: N801  # reads as a phrase: `with s3_errors(settings):`
    """Turn boto3's errors into Pinline's, naming the bucket or the endpoint."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        settings = self._settings
        where = settings.aws_endpoint_url_s3 or f"Amazon S3 in {settings.aws_region}"
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            if code == "NoSuchBucket":
                raise StateError(f"S3 has no bucket {settings.bucket!r} (S3_BUCKET). `make up` makes it.") from None
            if code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"):
                raise StateError(
                    f"S3 refuses access to {settings.bucket!r}: {error}. Check AWS_ACCESS_KEY_ID and its permissions."
                ) from None
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVERS_FAULT:
                raise UnreachableError("S3", where, "AWS_ENDPOINT_URL_S3", error) from None
        elif isinstance(error, BotoCoreError):
            raise UnreachableError("S3", where, "AWS_ENDPOINT_URL_S3", error) from None
