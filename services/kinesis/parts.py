"""The service put together from its settings."""

import asyncio
from dataclasses import dataclass

from kinesis.catalog import Catalog
from kinesis.control import Control
from kinesis.gets import Gets
from kinesis.lifecycle import Lifecycle
from kinesis.limits import ShardLimits
from kinesis.metrics import Metrics
from kinesis.named import NamedStreams
from kinesis.puts import Puts
from kinesis.reader import Reader
from kinesis.settings import Settings
from kinesis.streams import Stream
from kinesis.tags import Tags
from kinesis.tips import Tips
from kinesis.writer import Writer

_REST_S = 1.0


@dataclass(frozen=True)
class Parts:
    """All parts of a running service."""

    settings: Settings
    catalog: Catalog
    lifecycle: Lifecycle
    writer: Writer
    reader: Reader
    control: Control
    tags: Tags
    puts: Puts
    gets: Gets
    metrics: Metrics

    def start(self) -> "asyncio.Task[None]":
        """Begin; Kafka need not be there yet. Return the task that lets idle consumers rest, for `close`."""
        self.writer.start()
        self.catalog.start()
        self.lifecycle.start()
        return asyncio.get_running_loop().create_task(self._rest())

    async def close(self, resting: "asyncio.Task[None]") -> int:
        """End all; return how many records had no acknowledgement in time."""
        resting.cancel()
        self.lifecycle.close()
        left = await asyncio.to_thread(self.writer.close)
        await self.catalog.close()
        await asyncio.to_thread(self.reader.close)
        return left

    async def _rest(self) -> None:
        while True:
            await asyncio.sleep(_REST_S)
            await asyncio.to_thread(self.reader.rest)


def create_parts(settings: Settings) -> Parts:
    """Return the parts of a service in front of the Kafka that `settings` name."""
    writer = Writer(settings.kafka, linger_ms=settings.linger_ms)
    catalog = Catalog(settings, writer)
    lifecycle = Lifecycle(settings, catalog, writer)
    reader = Reader(settings.kafka)
    metrics = Metrics(writer.__len__)
    limits = ShardLimits() if settings.limits else None
    tips = Tips()
    puts = Puts(settings, catalog, writer, tips, limits, metrics)
    gets = Gets(settings, catalog, reader, tips, limits, metrics)
    streams = NamedStreams(catalog, lifecycle, settings.account)
    control = Control(settings, catalog, lifecycle, streams)
    tags = Tags(streams, settings.account)

    def forget(stream: Stream) -> None:
        if stream.status == "DELETED":
            tips.forget(stream.name, stream.epoch)
            if limits is not None:
                limits.forget(stream.name, stream.epoch)
            metrics.forget(stream.name)

    catalog.on_change = forget
    return Parts(settings, catalog, lifecycle, writer, reader, control, tags, puts, gets, metrics)
