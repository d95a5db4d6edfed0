"""The logs of Delta tables, as S3 lists them: which are whole, and what becomes of those that are not.

A store that keeps nothing over a restart (LocalStack's free edition) can come up between two steps of a writer. What
comes after it is then all there is of a table: a commit without those before it, which Delta neither reads nor replaces
(DELTA_TRUNCATED_TRANSACTION_LOG), or data without a commit, which keeps the table from being created
(DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION). What is left is moved out of the way, never deleted.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from pinline.object_store import lines, list_keys, s3_errors
from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SET_ASIDE = "lake/_set_aside/"

_BEGINNING = re.compile(r"0{20}\.json|\d{20}\.checkpoint\..*")
"""A log is read from version 0, or from a checkpoint of a later one."""
_COMMIT = re.compile(r"\d{20}\.json")
_PARALLEL = 8
_PAGE = 10
"""The beginning is among the first files by name."""


class Log(Enum):
    """What there is of a table's log."""

    WHOLE = "can be read from its beginning"
    TRUNCATED = "has lost its beginning"
    MISSING = "is not there, though the table's folder holds objects"


@dataclass(frozen=True)
class Commit:
    """What a commit says of itself: the `commitInfo` action of Delta's protocol."""

    version: int
    operation: str
    metrics: dict[str, str]
    """Such as `numOutputRows`; which there are depends on the operation."""


def prefix(table: str) -> str:
    """Return how the keys of a table such as `silver.pin`, or of a schema, begin."""
    return f"lake/{table.replace('.', '/', 1)}/"


def found(s3: "S3Client", settings: Settings, schema: str) -> dict[str, Log]:
    """Return the log of each folder of a schema in which there are objects."""
    place = prefix(schema)
    with s3_errors(settings):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=settings.bucket, Prefix=place, Delimiter="/")
        folders = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
    with ThreadPoolExecutor(_PARALLEL) as pool:  # every step of the batch asks for some twenty
        logs = list(pool.map(lambda folder: _log(s3, settings, folder), folders))
    return {
        folder.removeprefix(place).rstrip("/"): log
        for folder, log in zip(folders, logs, strict=True)
        if log is not None
    }


def commits(s3: "S3Client", settings: Settings, table: str) -> Iterator[Commit]:
    """Yield the commits of a table such as `silver.pin`, the last one first, as far back as its log goes.

    `DESCRIBE HISTORY` says the same in a job of Spark's.
    """
    folder = f"{prefix(table)}_delta_log/"
    names = [key.removeprefix(folder) for key, _ in list_keys(s3, settings, folder)]
    for name in sorted(filter(_COMMIT.fullmatch, names), reverse=True):
        actions = map(json.loads, lines(s3, settings, folder + name))
        info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        yield Commit(int(name.removesuffix(".json")), info.get("operation", ""), info.get("operationMetrics", {}))


def _log(s3: "S3Client", settings: Settings, folder: str) -> Log | None:
    """Return the log of a folder; None if there is nothing but the marks that S3A leaves of empty folders."""
    if log := _log_by_files(s3, settings, folder):
        return log
    if all(key.endswith("/") for key, _ in list_keys(s3, settings, folder, page=_PAGE)):
        return None
    # who has just created the table did so between the two looks
    return _log_by_files(s3, settings, folder) or Log.MISSING


def _log_by_files(s3: "S3Client", settings: Settings, folder: str) -> Log | None:
    is_log = False
    for key, _ in list_keys(s3, settings, f"{folder}_delta_log/", page=_PAGE):
        name = key.removeprefix(f"{folder}_delta_log/")
        if _BEGINNING.fullmatch(name):
            return Log.WHOLE
        is_log = is_log or bool(name)
    return Log.TRUNCATED if is_log else None


def set_aside(s3: "S3Client", settings: Settings, table: str) -> str:
    """Move the objects of a table such as `silver.pin` under SET_ASIDE; return where they are now.

    The log goes first: a move that is cut off leaves a table of which it shows that it can't be read.
    """
    source = prefix(table)
    target = f"{SET_ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}/{table}/"
    with s3_errors(settings):
        for key, _ in list_keys(s3, settings, source):
            s3.copy({"Bucket": settings.bucket, "Key": key}, settings.bucket, target + key.removeprefix(source))
            s3.delete_object(Bucket=settings.bucket, Key=key)
    return f"s3://{settings.bucket}/{target}"
