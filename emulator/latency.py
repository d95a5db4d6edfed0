"""Latencies in logarithmic buckets: percentiles within 1 % of the true value, in constant memory."""

import math
from collections import Counter

_SMALLEST = 1e-5
_STEP = math.log(1.02)


class Latencies:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0

    def add(self, seconds: float) -> None:
        """Count one measurement."""
        self._buckets[int(math.log(max(seconds, _SMALLEST) / _SMALLEST) / _STEP)] += 1
        self.count += 1

    def percentile(self, share: float) -> float | None:
        """Return the seconds that `share` (0 to 1) of the measurements don't exceed; None without any."""
        rank = math.ceil(share * self.count)
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return _SMALLEST * math.exp((bucket + 0.5) * _STEP)
        return None

    def milliseconds(self, share: float) -> float | None:
        """Return `percentile` in rounded milliseconds."""
        found = self.percentile(share)
        return found and round(found * 1000, 2)
