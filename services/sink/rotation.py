"""When an object is complete: limits in, a reason out."""

from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why an object was cut."""

    COUNT = "flush.size records"
    BYTES = "rotate.bytes"
    RECORD_TIME = "rotate.interval.ms between the timestamps of two records"
    WALL_CLOCK = "rotate.schedule.interval.ms since the first record"
    NEXT_OBJECT = "an object that is already there begins at the next offset"
    SHUTDOWN = "the sink is stopping"


@dataclass(frozen=True)
class Limits:
    """The limits of one object; None switches a limit off."""

    records: int
    bytes: int
    record_time_ms: int | None = None
    wall_clock_s: float | None = None


@dataclass(frozen=True)
class Fill:
    """How far an object that is still in memory has come."""

    records: int
    bytes: int
    age_s: float
    """Since its first record was read."""


def full(fill: Fill, limits: Limits) -> Reason | None:
    """Return the reason to cut an object now, or None."""
    if fill.records >= limits.records:
        return Reason.COUNT
    if fill.bytes >= limits.bytes:
        return Reason.BYTES
    if limits.wall_clock_s is not None and fill.age_s >= limits.wall_clock_s:
        return Reason.WALL_CLOCK
    return None
