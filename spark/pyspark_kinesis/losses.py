"""Whether records were trimmed before they were read, as far as Kinesis lets one know."""

import logging
from datetime import UTC, datetime

from pyspark_kinesis.errors import DataLossError
from pyspark_kinesis.offsets import Position

log = logging.getLogger("pyspark_kinesis")


def may_be_lost(position: Position, now_ms: int, retention_ms: int) -> bool:
    """Whether unread records may be gone, given that the record at `position.last` is.

    It is no loss if the record just grew older than the retention period, and everything that arrived up to less than
    a retention period ago was read.
    """
    if position.last is not None and (position.arrived_ms or 0) > now_ms - retention_ms:
        return True
    return position.seen_ms is not None and position.seen_ms <= now_ms - retention_ms


def report(stream: str, shard: str, position: Position, found: str, *, fail: bool) -> None:
    """Raise DataLossError, or log it if `fail` is False."""
    after = f"after {position.last}" if position.last else "from its beginning"
    when = f" (arrived {_shown(position.arrived_ms)})" if position.arrived_ms else ""
    text = (
        f"records of {shard} of the stream {stream} {after}{when} were not read yet and are gone; {found}. "
        "They were older than the stream's retention period, or were removed. Set failOnDataLoss=false to go on with "
        "what is there, and a longer retention period for the next time."
    )
    if fail:
        raise DataLossError(text)
    log.warning("data loss: %s", text)


def _shown(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
