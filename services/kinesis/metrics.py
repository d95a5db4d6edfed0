"""What the service counts, in Prometheus' form."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics, in a registry of their own."""

    def __init__(self, queue_length: Callable[[], int]) -> None:
        """Take a function that counts the records that wait for an acknowledgement."""
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "kinesis_requests", "Answers, by operation and error.", ["operation", "error"], registry=registry
        )
        self.latency = Histogram(
            "kinesis_request_seconds",
            "Time from the whole request to its answer.",
            ["operation"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._incoming = Counter("kinesis_incoming_records", "Records acknowledged.", ["stream"], registry=registry)
        self._incoming_bytes = Counter(
            "kinesis_incoming_bytes", "Bytes acknowledged, with keys.", ["stream"], registry=registry
        )
        self._outgoing = Counter("kinesis_outgoing_records", "Records given out.", ["stream"], registry=registry)
        self._outgoing_bytes = Counter(
            "kinesis_outgoing_bytes", "Bytes given out, with keys.", ["stream"], registry=registry
        )
        self._behind = Gauge(
            "kinesis_millis_behind_latest", "Of the last GetRecords answer.", ["stream"], registry=registry
        )
        self.throttled = Counter(
            "kinesis_throttled", "Records and reads above a shard's limits.", ["stream", "direction"], registry=registry
        )
        self._failed = Counter(
            "kinesis_failed_records", "Records that Kafka did not acknowledge.", ["stream"], registry=registry
        )
        queue = Gauge("kinesis_queue_records", "Records without an acknowledgement yet.", registry=registry)
        queue.set_function(queue_length)
        self.body_bytes = Gauge("kinesis_body_bytes_in_flight", "Request bodies held in memory.", registry=registry)

    def written(self, stream: str, records: int, size: int, throttled: int, failed: int) -> None:
        """Count the records of a put."""
        if records:
            self._incoming.labels(stream).inc(records)
            self._incoming_bytes.labels(stream).inc(size)
        if throttled:
            self.throttled.labels(stream, "write").inc(throttled)
        if failed:
            self._failed.labels(stream).inc(failed)

    def read(self, stream: str, records: int, size: int, behind_ms: int) -> None:
        """Count the records of a get."""
        if records:
            self._outgoing.labels(stream).inc(records)
            self._outgoing_bytes.labels(stream).inc(size)
        self._behind.labels(stream).set(behind_ms)

    def forget(self, stream: str) -> None:
        """Drop the series of a stream that is gone."""
        for metric in (self._incoming, self._incoming_bytes, self._outgoing, self._outgoing_bytes, self._behind):
            metric.remove_by_labels({"stream": stream})
        self.throttled.remove_by_labels({"stream": stream})
        self._failed.remove_by_labels({"stream": stream})
