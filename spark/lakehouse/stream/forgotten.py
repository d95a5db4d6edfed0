"""What S3 has forgotten under the job: found out, and made good by reading again what Kinesis holds.

A checkpoint promises that what it names is in the tables. A store that is started anew and keeps nothing (LocalStack's
free edition) breaks that in several ways, as its restart falls between the job's writes: everything is gone, a table
is, or the beginning of one or of the checkpoint, when a write came after the restart.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import structlog

from lakehouse import logs
from lakehouse.logs import Log
from lakehouse.stream import checkpoint, live, store
from lakehouse.tables import Lake
from pinline.errors import StateError, UnreachableError

log = structlog.get_logger("stream")

_LOOK_SECONDS = 10.0


class Remembered:
    """Looks now and then whether the checkpoint of the query that runs still has its beginning."""

    def __init__(self, lake: Lake, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._clock = clock
        self._looked = clock()

    def check(self) -> None:
        """Raise StateError if S3 has forgotten it: the query would go on as if the tables held what they don't."""
        if self._clock() - self._looked < _LOOK_SECONDS:
            return
        self._looked = self._clock()
        lake = self._lake
        with suppress(UnreachableError):  # then the query has its own trouble
            if not checkpoint.has_beginning(lake.s3, lake.settings):
                raise StateError(
                    f"S3 has forgotten what the streaming job wrote to s3://{lake.settings.bucket}, as LocalStack does "
                    "when it is started anew: the job begins again, and reads all that Kinesis holds"
                )


def mend(lake: Lake) -> None:
    """Set aside the tables that can't be read, and drop the checkpoints whose promise doesn't hold."""
    found = {f"stream.{name}": log for name, log in logs.found(lake.s3, lake.settings, "stream").items()}
    tables = list(store.shapes(lake))
    lost = [name for name in tables if found.get(name) is not Log.WHOLE]
    if _is_broken(lake, checkpoint.EVENTS, tables, found):
        _drop(lake, checkpoint.EVENTS, [name for name in lost if name in found])
    if lost or _is_broken(lake, checkpoint.LIVE, [live.TABLE], found):  # it counts what the tables hold
        _drop(lake, checkpoint.LIVE, [live.TABLE] if live.TABLE in found else [])


def _is_broken(lake: Lake, prefix: str, tables: Iterable[str], found: Mapping[str, Log]) -> bool:
    """Tell whether a checkpoint promises more of `tables` than they hold, or one of them can't be read."""
    logs_of = [found.get(name) for name in tables]
    if any(log in (Log.TRUNCATED, Log.MISSING) for log in logs_of):
        return True
    return checkpoint.exists(lake.s3, lake.settings, prefix) and (
        None in logs_of or not checkpoint.has_beginning(lake.s3, lake.settings, prefix)
    )


def _drop(lake: Lake, prefix: str, unreadable: Iterable[str]) -> None:
    for table in unreadable:
        left = logs.set_aside(lake.s3, lake.settings, table)
        log.warning("S3 has forgotten a part of a table", table=table, left=left)
    if checkpoint.delete(lake.s3, lake.settings, prefix):
        log.warning("S3 has forgotten what a checkpoint names: it is dropped", checkpoint=prefix)
