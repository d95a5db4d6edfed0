"""What a run did, as numbers; the display reads them, the engine and the delivery count them up."""

import time
from collections import Counter
from dataclasses import dataclass, field

from emulator.latency import Latencies


@dataclass
class Figures:
    """Counters of one run."""

    started: float = field(default_factory=time.monotonic)
    events: int = 0
    """Events posted: all of their records are acknowledged."""
    records: int = 0
    """Records acknowledged, those of the spool included."""
    retries: int = 0
    """Records sent again."""
    spooled: int = 0
    """Records that this run put into the spool."""
    unspooled: int = 0
    """Records of the spool that this run sent."""
    empty: int = 0
    """Draws whose index no table has."""
    incomplete: int = 0
    """Draws whose index not all three tables have."""
    failures: Counter[str] = field(default_factory=Counter)
    """Failed attempts by kind (a status, an exception)."""
    latencies: Latencies = field(default_factory=Latencies)
    """Of requests that were answered."""

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def as_fields(self) -> dict[str, object]:
        """Return the figures as fields of a log line: rates a second, latencies in milliseconds."""
        seconds = self.seconds or 1e-9
        return {
            "events": self.events,
            "records": self.records,
            "retries": self.retries,
            "spooled": self.spooled,
            "unspooled": self.unspooled,
            "empty_draws": self.empty,
            "incomplete_events": self.incomplete,
            "failures": dict(self.failures),
            "seconds": round(seconds, 2),
            "events_per_second": round(self.events / seconds, 1),
            "records_per_second": round(self.records / seconds, 1),
            "p50_ms": self.latencies.milliseconds(0.50),
            "p95_ms": self.latencies.milliseconds(0.95),
            "p99_ms": self.latencies.milliseconds(0.99),
        }
