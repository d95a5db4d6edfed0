"""How far each shard is written, as this instance knows it: a read that begins there need not ask Kafka."""

Which = tuple[str, int, int]
"""A shard: its stream's name and epoch, its index."""


class Tips:
    """The offset after the last record that this instance wrote to each shard."""

    def __init__(self) -> None:
        self._tips: dict[Which, int] = {}

    def of(self, shard: Which) -> int:
        """Return the offset; 0 if nothing is known."""
        return self._tips.get(shard, 0)

    def reached(self, shard: Which, offset: int) -> None:
        """Note that the shard is written up to `offset`."""
        if offset > self._tips.get(shard, 0):
            self._tips[shard] = offset

    def forget(self, stream: str, epoch: int) -> None:
        """Forget a stream that is gone."""
        for shard in [shard for shard in self._tips if shard[:2] == (stream, epoch)]:
            del self._tips[shard]
