"""One shard, read forward: iterators taken and renewed, calls paced, and what is missing noticed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark_kinesis.client import Kinesis, timestamp
from pyspark_kinesis.errors import IteratorExpiredError, RequestError, UnreachableError
from pyspark_kinesis.offsets import Position
from pyspark_kinesis.options import Options
from pyspark_kinesis.rows import Records

_IDLE_ANSWERS = 20
_IDLE_PERIODS = 4
"""After so many answers without records at the tip, a shard is asked so many times more seldom: a call costs a
millisecond or two, here and at the service."""


@dataclass(frozen=True)
class Found:
    """What a call gave. `tip`: nothing newer was there. `ended`: the shard is closed and read to its end.

    `lost`: the record that reading was to resume after isn't there any more; what came after it may be gone too.
    """

    records: Records
    tip: bool
    ended: bool
    lost: bool


class Cursor:
    """Reads a shard after a position (`inclusive`: with the record at it).

    `fetch` raises what the client raises, and can be called again after it.
    """

    def __init__(
        self,
        kinesis: Kinesis,
        options: Options,
        stream: str,
        shard: str,
        position: Position,
        *,
        iterator: str | None = None,
        inclusive: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kinesis = kinesis
        self._options = options
        self._stream = stream
        self._shard = shard
        self._position = position
        self._iterator = iterator
        self._last = position.last
        self._unconfirmed = position.last
        self._inclusive = inclusive
        self._clock = clock
        self._due = 0.0
        self._idle_answers = 0

    @property
    def wait(self) -> float:
        """Seconds until the next call is due: 5 calls and `maxFetchRate` a second, fewer of an idle shard."""
        return max(0.0, self._due - self._clock())

    def fetch(self) -> Found:
        """Return the next records, perhaps none."""
        begun = self._clock()
        self._due = begun + self._options.fetch_period
        if self._iterator is None:
            self._iterator = self._take_iterator()
        try:
            answer = self._kinesis.records(self._stream, self._iterator)
        except IteratorExpiredError:
            self._iterator = None
            self._due = begun
            return Found(Records([], [], [], []), tip=False, ended=False, lost=False)
        records = answer.records
        size = sum(map(len, records.data))
        self._due = max(self._due, begun + size / self._options.bytes_per_second)
        self._iterator = answer.next
        ended = answer.next is None
        tip = ended or (answer.behind_ms == 0 and len(records) < self._options.records_per_fetch)
        self._idle_answers = self._idle_answers + 1 if tip and not len(records) else 0
        if self._idle_answers > _IDLE_ANSWERS:
            self._due = begun + _IDLE_PERIODS * self._options.fetch_period
        lost = False
        if self._unconfirmed is not None and (len(records) or tip):
            lost = not len(records) or int(records.sequences[0]) != int(self._unconfirmed)
            if not lost and not self._inclusive:
                records = records.drop(1)
            self._unconfirmed = None
        if len(records):
            self._last = records.sequences[-1]
        return Found(records, tip, ended, lost)

    def _take_iterator(self) -> str:
        kind, start = self._start()
        try:
            return self._kinesis.iterator(self._stream, self._shard, kind, **start)
        except RequestError as error:
            if kind == "AT_TIMESTAMP" and "greater than" in str(error):  # our clock is ahead of theirs
                raise UnreachableError(str(error)) from error
            raise

    def _start(self) -> tuple[str, dict[str, Any]]:
        if self._unconfirmed is not None:
            return "AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": self._unconfirmed}
        if self._last is not None:
            return "AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": self._last}
        if self._position.at_ms is not None:
            return "AT_TIMESTAMP", {"Timestamp": timestamp(self._position.at_ms)}
        return "TRIM_HORIZON", {}
