"""What the sink shows of itself: `/metrics` (Prometheus), `/readyz`, `/healthz`, and one log line a rotation."""

from collections.abc import Iterable

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from sink.actions import Failure
from sink.buffer import Batch
from sink.partition import Observer, PartitionWriter, State

log = structlog.get_logger("sink")
_WHERE = ("topic", "partition")


class Metrics(Observer):
    """Counters and gauges by topic and partition, and the log lines an operator asks for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._records = self._counter("records", "Records written to S3")
        self._bytes = self._counter("bytes", "Bytes of the objects written to S3")
        self._objects = self._counter("objects", "Objects written to S3", "reason")
        self._dead_letters = self._counter("dead_letters", "Dead letters acknowledged by Kafka")
        self._nulls = self._counter("nulls", "Null values ignored")
        self._errors = self._counter("errors", "Failed calls that are tried again", "kind")
        self._relocations = self._counter(
            "relocations", "Times that the position was taken anew because S3 lost objects"
        )
        self.lag = Gauge("pinline_sink_lag_records", "Records not yet safe", _WHERE, registry=self.registry)
        self._state = Gauge("pinline_sink_state", "1 for the current state", (*_WHERE, "state"), registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"pinline_sink_{name}", text, (*_WHERE, *labels), registry=self.registry)

    def rotated(self, writer: PartitionWriter, batch: Batch) -> None:
        """Count and log a batch."""
        where = (writer.topic, str(writer.partition))
        if batch.dead_letters:
            self._dead_letters.labels(*where).inc(len(batch.dead_letters))
        if batch.key:
            self._objects.labels(*where, batch.reason.name).inc()
            self._records.labels(*where).inc(batch.records)
            self._bytes.labels(*where).inc(len(batch.body))
        log.info(
            "rotated",
            topic=writer.topic,
            partition=writer.partition,
            reason=batch.reason.name,
            object=batch.key,
            records=batch.records,
            bytes=len(batch.body),
            dead_letters=len(batch.dead_letters),
            last_offset=batch.last_offset,
        )

    def null(self, writer: PartitionWriter) -> None:
        """Count a null."""
        self._nulls.labels(writer.topic, str(writer.partition)).inc()

    def failed(self, writer: PartitionWriter, failure: Failure) -> None:
        """Count and log a failure."""
        kind = type(failure).__name__.removesuffix("Error")
        self._errors.labels(writer.topic, str(writer.partition), kind).inc()
        log.warning("failed, will try again", topic=writer.topic, partition=writer.partition, error=str(failure))

    def relocating(self, writer: PartitionWriter, why: str) -> None:
        """Count and log a position that is taken anew."""
        self._relocations.labels(writer.topic, str(writer.partition)).inc()
        log.warning("taking the position anew from S3", topic=writer.topic, partition=writer.partition, why=why)

    def stopped(self, writer: PartitionWriter, error: str) -> None:
        """Log a partition that needs a person."""
        log.error("partition stopped", topic=writer.topic, partition=writer.partition, error=error)

    def show(self, writers: Iterable[PartitionWriter]) -> None:
        """Set the state gauges from `writers`; partitions that went away disappear."""
        self._state.clear()
        for writer in writers:
            for state in State:
                gauge = self._state.labels(writer.topic, str(writer.partition), state.value)
                gauge.set(1 if writer.state is state else 0)
