"""What the stream process shows of itself: `/metrics` (Prometheus) and the body of `/readyz`."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lakehouse.stream.batch import Written

_WINDOW = 60.0
_STARTING = "it is starting"
_BUCKETS = (0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 10, 30, 60, 300)


class Metrics:
    """Counters, gauges, and whether the query works. Used by several threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, int]] = deque()
        self._batch_seconds: float | None = None
        self._newest: float | None = None
        self._is_idle = True
        self._waiting = 0
        self._problem: str | None = _STARTING
        make = self.registry
        self._records = Counter(
            "pinline_stream_records", "Records by what became of them", ("event", "verdict"), registry=make
        )
        self._batches = Histogram("pinline_stream_batch_seconds", "A batch's time", buckets=_BUCKETS, registry=make)
        self._latency = Histogram(
            "pinline_stream_latency_seconds", "From a batch's first arrival to Delta", buckets=_BUCKETS, registry=make
        )
        self._failures = Counter("pinline_stream_failures", "Times that the query failed", registry=make)
        self._gauge("pinline_stream_lag_seconds", "Age of the newest record in Delta; 0 if none waits", self._lag)
        self._gauge("pinline_stream_lag_records", "Fetched from Kinesis and not yet in Delta", self._lag_records)
        self._gauge("pinline_stream_rows_per_second", "Over the last minute", self._rate)
        self._gauge("pinline_stream_ready", "1 if the query works", lambda: float(self._problem is None))

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, registry=self.registry).set_function(value)

    def written(self, written: Written) -> None:
        """Count a batch; it shows that the query works."""
        for event, counts in written.counts.items():
            for verdict in ("inserted", "duplicate", "quarantined"):
                self._records.labels(event, verdict).inc(getattr(counts, verdict))
        self._batches.observe(written.seconds)
        now = self._clock()
        with self._lock:
            self._problem = None
            self._batch_seconds = written.seconds
            self._recent.append((now, sum(counts.read for counts in written.counts.values())))
            if written.oldest is not None:
                self._newest = written.newest
        if written.oldest is not None:
            self._latency.observe(max(0.0, now - written.oldest))

    def idle(self, *, is_idle: bool) -> None:
        """Tell whether all that was found is in Delta."""
        with self._lock:
            self._is_idle = is_idle

    def works(self) -> None:
        """Tell that the query has asked for records and got an answer."""
        with self._lock:
            self._problem = None

    def waiting(self, records: int) -> None:
        """Tell how many records were fetched ahead of the last batch. Kinesis itself tells times only."""
        with self._lock:
            self._waiting = records

    def failed(self, problem: str) -> None:
        """Tell why the query doesn't work."""
        self._failures.inc()
        with self._lock:
            self._problem, self._is_idle = problem, True

    def starting(self) -> None:
        """Tell that the query starts; what it failed of before stays shown until it works."""
        with self._lock:
            self._problem = self._problem or _STARTING

    def status(self) -> dict[str, Any]:
        """Return the body of `/readyz`."""
        batch = self._batch_seconds
        return {
            "ready": self._problem is None,
            "failing": self._problem not in (None, _STARTING),
            "problem": self._problem,
            "lag_seconds": round(self._lag(), 1),
            "lag_records": self._lag_records(),
            "rows_per_second": round(self._rate(), 1),
            "batch_seconds": None if batch is None else round(batch, 2),
        }

    def _lag(self) -> float:
        with self._lock:
            if self._is_idle or self._newest is None:
                return 0.0
            return max(0.0, self._clock() - self._newest)

    def _lag_records(self) -> int:
        with self._lock:
            return 0 if self._is_idle else self._waiting

    def _rate(self) -> float:
        since = self._clock() - _WINDOW
        with self._lock:
            while self._recent and self._recent[0][0] < since:
                self._recent.popleft()
            return sum(rows for _, rows in self._recent) / _WINDOW
