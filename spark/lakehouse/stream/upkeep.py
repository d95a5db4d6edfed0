"""Upkeep of the streaming side's tables: their small files are joined now and then, and what nobody reads is deleted.

Only this process may do so: Delta on S3 is safe for one writer a table. An append doesn't read its table, so it never
conflicts with OPTIMIZE; what does read a table (the quarantine's append, MERGE) waits by `lock`.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog

from lakehouse.tables import Lake

log = structlog.get_logger("stream")

_FILES = 150
_SECONDS = 900.0
_VACUUM_SECONDS = 86_400.0


class Upkeep:
    """Counts the files that were added, and says when a table is due."""

    def __init__(self, lake: Lake, files: int = _FILES, clock: Callable[[], float] = time.monotonic) -> None:
        self.lock = threading.Lock()
        self._lake = lake
        self._files = files
        self._clock = clock
        self._added: Counter[str] = Counter()
        self._last = clock()
        self._vacuumed: dict[str, float] = {}

    def added(self, table: str) -> None:
        """Take note of a file."""
        self._added[table] += 1

    def due(self) -> list[str]:
        """Return the tables to compact: of many files, or of a tenth of that when the last time is long ago."""
        is_late = self._clock() - self._last > _SECONDS
        least = self._files // 10 if is_late else self._files
        return [table for table, files in self._added.items() if files >= least]

    def run(self) -> None:
        """Compact the tables that are due."""
        for table in self.due():
            started = time.monotonic()
            with self.lock:
                self._lake.sql("OPTIMIZE {table}", table).collect()
            if self._clock() - self._vacuumed.get(table, float("-inf")) > _VACUUM_SECONDS:
                self._lake.sql("VACUUM {table}", table).collect()
                self._vacuumed[table] = self._clock()
            log.info(
                "compacted", table=table, files=self._added.pop(table), seconds=round(time.monotonic() - started, 1)
            )
            self._last = self._clock()
