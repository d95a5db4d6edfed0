"""The query's checkpoint in S3: whether it is whole, how far it is, and how it is emptied. Spark alone writes it.

Spark's format: `offsets/N` says what batch N reads, `commits/N` that it is done; both begin with `v1`, and a JSON
object a line follows. The last line of `offsets/N` is the source's offset.
"""

import json
from typing import TYPE_CHECKING, Any

from pinline.errors import StateError
from pinline.object_store import list_keys, s3_errors
from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "lake/stream/_checkpoints/"
EVENTS = f"{PREFIX}events/"
LIVE = f"{PREFIX}live/"

Positions = dict[tuple[str, str], str]
"""(stream, shard) → the sequence number of the last record that is in Delta."""


def check(s3: "S3Client", settings: Settings, prefix: str = EVENTS) -> None:
    """Raise StateError, which says what to do, if the checkpoint can't be gone on from."""
    offsets, commits = _numbers(s3, settings, f"{prefix}offsets/"), _numbers(s3, settings, f"{prefix}commits/")
    if not offsets and not commits:
        return
    if commits and (not offsets or max(offsets) < max(commits)):
        raise damaged(settings, prefix, f"batch {max(commits)} is done, and what it read is noted nowhere")
    if max(offsets) > max(commits, default=-1) + 1:
        raise damaged(settings, prefix, f"offsets/{max(offsets)} is there, and commits/{max(offsets) - 1} is not")
    _json_lines(s3, settings, prefix, f"offsets/{max(offsets)}")
    if commits:
        _json_lines(s3, settings, prefix, f"commits/{max(commits)}")


def damaged(settings: Settings, prefix: str, found: str) -> StateError:
    """Return the error of a checkpoint that is of no use any more."""
    return StateError(
        f"the stream can't go on from its checkpoint s3://{settings.bucket}/{prefix}: {found}. The tables are whole. "
        "Try: make stream-reset, which reads again all that Kinesis still holds, and takes in what is missing"
    )


def exists(s3: "S3Client", settings: Settings, prefix: str = EVENTS) -> bool:
    """Tell whether the query ever ran."""
    return next(list_keys(s3, settings, prefix), None) is not None


def has_beginning(s3: "S3Client", settings: Settings, prefix: str = EVENTS) -> bool:
    """Tell whether the file that the query wrote first, and never again, is there."""
    return any(key == f"{prefix}metadata" for key, _ in list_keys(s3, settings, f"{prefix}metadata"))


def positions(s3: "S3Client", settings: Settings) -> Positions:
    """Return how far the committed batches are, shard by shard; those nothing was read of are left out."""
    return {
        (stream, shard): position["last"]
        for stream, found in _last_offset(s3, settings).items()
        for shard, position in found["shards"].items()
        if "last" in position
    }


def streams_made(s3: "S3Client", settings: Settings) -> dict[str, int]:
    """Return when each stream was made, in ms since the epoch, as the committed batches know it."""
    return {stream: found["created"] for stream, found in _last_offset(s3, settings).items()}


def delete(s3: "S3Client", settings: Settings, prefix: str = EVENTS) -> int:
    """Delete a checkpoint; return how many objects it had."""
    keys = [key for key, _ in list_keys(s3, settings, prefix)]
    with s3_errors(settings):
        for start in range(0, len(keys), 1000):
            objects: Any = [{"Key": key} for key in keys[start : start + 1000]]
            s3.delete_objects(Bucket=settings.bucket, Delete={"Objects": objects})
    return len(keys)


def _last_offset(s3: "S3Client", settings: Settings) -> dict[str, Any]:
    """Return what the last committed batch read, by stream; nothing if there is none."""
    commits = _numbers(s3, settings, f"{EVENTS}commits/")
    found: dict[str, Any] = {}
    if commits:
        found = _json_lines(s3, settings, EVENTS, f"offsets/{max(commits)}")[-1].get("streams", {})
    return found


def _numbers(s3: "S3Client", settings: Settings, prefix: str) -> list[int]:
    names = (key.removeprefix(prefix) for key, _ in list_keys(s3, settings, prefix))
    return [int(name) for name in names if name.isdecimal()]


def _json_lines(s3: "S3Client", settings: Settings, prefix: str, name: str) -> list[Any]:
    with s3_errors(settings):
        body = s3.get_object(Bucket=settings.bucket, Key=prefix + name)["Body"].read().decode(errors="replace")
    version, *lines = body.split("\n")
    try:
        if version != "v1" or not lines:
            raise ValueError
        return [json.loads(line) for line in lines]
    except ValueError:
        raise damaged(settings, prefix, f"{name} is not what Spark writes: {body[:80]!r}") from None
