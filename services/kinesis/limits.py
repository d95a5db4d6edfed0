"""What a shard can do in a second, as in the cloud: token buckets that hold one second's worth.

Each instance counts for itself: two instances let twice as much through.
"""

import time
from collections.abc import Callable

RECORDS_PER_SECOND = 1000
BYTES_IN_PER_SECOND = 1024 * 1024
BYTES_OUT_PER_SECOND = 2 * 1024 * 1024
READS_PER_SECOND = 5


class Bucket:
    """Tokens that come back at `rate` a second, at most `rate` of them."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._at = now

    def has(self, wanted: float, now: float) -> bool:
        """Whether `wanted` tokens are there; of more than the bucket holds, whether it is full."""
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return self._tokens >= min(wanted, self._rate)

    def take(self, count: float) -> None:
        """Take tokens, also such that aren't there yet."""
        self._tokens -= count


class ShardLimits:
    """The limits of all shards; a shard is (stream's name, epoch, index)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._writes: dict[tuple[str, int, int], tuple[Bucket, Bucket]] = {}
        self._reads: dict[tuple[str, int, int], tuple[Bucket, Bucket]] = {}

    def may_write(self, shard: tuple[str, int, int], size: int) -> bool:
        """Count a record of `size` bytes in, unless the shard has had too many."""
        now = self._clock()
        found = self._writes.get(shard)
        if found is None:
            found = Bucket(RECORDS_PER_SECOND, now), Bucket(BYTES_IN_PER_SECOND, now)
            self._writes[shard] = found
        records, volume = found
        if not (records.has(1, now) and volume.has(size, now)):
            return False
        records.take(1)
        volume.take(size)
        return True

    def may_read(self, shard: tuple[str, int, int]) -> bool:
        """Count a GetRecords, unless the shard has had too many, or gave more bytes than it has earned back."""
        now = self._clock()
        found = self._reads.get(shard)
        if found is None:
            found = Bucket(READS_PER_SECOND, now), Bucket(BYTES_OUT_PER_SECOND, now)
            self._reads[shard] = found
        calls, volume = found
        if not (calls.has(1, now) and volume.has(1, now)):
            return False
        calls.take(1)
        return True

    def have_read(self, shard: tuple[str, int, int], size: int) -> None:
        """Count the bytes that a GetRecords gave."""
        if found := self._reads.get(shard):
            found[1].take(size)

    def forget(self, stream: str, epoch: int) -> None:
        """Forget a stream that is gone."""
        for buckets in (self._writes, self._reads):
            for shard in [shard for shard in buckets if shard[:2] == (stream, epoch)]:
                del buckets[shard]
