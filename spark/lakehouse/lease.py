"""One run at a time: a run takes a lease in `ops.run` and renews it; a run whose lease has expired has lost it.

At most one row has the state `running`: its run is the holder. The row also keeps the silver versions that the run's
questions read, so a run that lost its lease has lost them too and asks anew. Time is the server's clock.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pyspark.sql import Row

from lakehouse import fault
from lakehouse.tables import Lake, commit, literal
from pinline.errors import StateError
from pinline.events import EVENTS, EventName

SECONDS = 120
_POLL_SECONDS = 1.0
Versions = dict[EventName, int]
"""A silver version for each event."""

Tell = Callable[[str], None]


@dataclass
class Lease:
    """The right to write the lake, as `run`. As a context it is renewed meanwhile."""

    lake: Lake
    run: str
    seconds: int = SECONDS
    _ended: threading.Event = field(default_factory=threading.Event)
    _renewal: threading.Thread | None = None

    def acquire(self, *, wait_seconds: float, tell: Tell) -> bool:
        """Take the lease, or go on with it if the run has it. Returns whether another run was waited for.

        Raises StateError that names the holder after `wait_seconds`.
        """
        deadline = time.monotonic() + wait_seconds
        waited = False
        while (holder := self._claim()).run != self.run:
            if time.monotonic() > deadline:
                raise StateError(
                    f"run {holder.run} is at work since {holder.started_at:%H:%M:%S} UTC, its lease lasts until "
                    f"{holder.expires_at:%H:%M:%S} UTC. Try again when it has ended."
                )
            if not waited:
                tell(f"waiting for run {holder.run}, at work since {holder.started_at:%H:%M:%S} UTC")
            waited = True
            self._ended.wait(_POLL_SECONDS)
        fault.after(self.lake.settings, "lease")
        return waited

    def __enter__(self) -> "Lease":
        self._renewal = threading.Thread(target=self._renew, daemon=True)
        self._renewal.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        if self._renewal:
            self._renewal.join()

    def pin(self, versions: Versions) -> None:
        """Write the silver versions that the run's questions read."""
        values = ", ".join(f"{name}_version = {version}" for name, version in versions.items())
        self._update(f"SET {values}")
        fault.after(self.lake.settings, "pin")

    def pinned(self) -> Versions:
        """Return what `pin` wrote. Raises StateError if the run has lost its lease since, or never asked."""
        row = _running(self.lake)
        if row is None or row.run != self.run or row[f"{EVENTS[0].name}_version"] is None:
            raise StateError(f"run {self.run} has no pinned silver versions: its questions come first. Try: make batch")
        return {event.name: row[f"{event.name}_version"] for event in EVENTS}

    def release(self, state: str, note: str = "") -> None:
        """End the run as `done`, `failed` or `nothing new`."""
        self._update(f"SET state = {literal(state)}, note = {literal(note)}")
        fault.after(self.lake.settings, "release")

    def _claim(self) -> Row:
        """Renew the lease, take a free one, or mark an expired one as lost and take it. Returns the holder's row."""
        query = f"""
            MERGE INTO {{table}} t
            USING (SELECT {literal(self.run)} AS run, current_timestamp() AS now) s ON t.state = 'running'
            WHEN MATCHED AND t.run = s.run THEN UPDATE SET expires_at = now + INTERVAL {self.seconds} SECONDS
            WHEN MATCHED AND t.expires_at <= now THEN UPDATE SET state = 'lost'
            WHEN NOT MATCHED THEN INSERT (run, state, started_at, expires_at)
              VALUES (s.run, 'running', now, now + INTERVAL {self.seconds} SECONDS)
            """
        while True:
            commit(lambda: self.lake.sql(query, "ops.run"))
            if holder := _running(self.lake):
                return holder

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 3):
            self._update(f"SET expires_at = current_timestamp() + INTERVAL {self.seconds} SECONDS")

    def _update(self, change: str) -> None:
        query = f"UPDATE {{table}} {change} WHERE run = {literal(self.run)} AND state = 'running'"
        commit(lambda: self.lake.sql(query, "ops.run"))


def _running(lake: Lake) -> Row | None:
    rows = lake.read("ops.run").where("state = 'running'").collect()
    return rows[0] if rows else None
