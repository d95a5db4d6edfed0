"""The logs of Delta tables, as S3 lists them: which are whole, and what becomes of those that are not.

A store that keeps nothing over a restart (LocalStack's free edition) can come up between a writer's look at a log and
its commit. That commit is then all there is: a log without its beginning, which Delta neither reads nor replaces
(DELTA_TRUNCATED_TRANSACTION_LOG). What is left of such a table is moved out of the way, never deleted.
"""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pinline.object_store import list_keys, s3_errors
from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SET_ASIDE = "lake/_set_aside/"

_BEGINNING = re.compile(r"0{20}\.json|\d{20}\.checkpoint\..*")
"""A log is read from version 0, or from a checkpoint of a later one."""
_PAGE = 10
"""The beginning is among the first files by name."""


def found(s3: "S3Client", settings: Settings, schema: str) -> dict[str, bool]:
    """Return the tables of a schema that have a log, and whether it is whole."""
    prefix = f"lake/{schema}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=settings.bucket, Prefix=prefix, Delimiter="/")
    names = [
        item["Prefix"].removeprefix(prefix).rstrip("/") for page in pages for item in page.get("CommonPrefixes", [])
    ]
    states = {name: _is_whole(s3, settings, f"{prefix}{name}/_delta_log/") for name in names}
    return {name: is_whole for name, is_whole in states.items() if is_whole is not None}


def _is_whole(s3: "S3Client", settings: Settings, prefix: str) -> bool | None:
    """Tell whether a log has its beginning; None when there is no log."""
    is_log = False
    for key, _ in list_keys(s3, settings, prefix, page=_PAGE):
        name = key.removeprefix(prefix)
        if _BEGINNING.fullmatch(name):
            return True
        is_log = is_log or bool(name)
    return False if is_log else None


def set_aside(s3: "S3Client", settings: Settings, table: str) -> str:
    """Move the objects of a table such as `silver.pin` under SET_ASIDE; return where they are now."""
    source = f"lake/{table.replace('.', '/', 1)}/"
    target = f"{SET_ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}/{table}/"
    with s3_errors(settings):
        for key, _ in list_keys(s3, settings, source):
            s3.copy({"Bucket": settings.bucket, "Key": key}, settings.bucket, target + key.removeprefix(source))
            s3.delete_object(Bucket=settings.bucket, Key=key)
    return f"s3://{settings.bucket}/{target}"
