"""What the gateway counts, and the outermost layer that counts it. Also the access log, if it is wanted."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("gateway.access")

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The gateway's metrics, in a registry of their own; both listeners share one."""

    def __init__(self, queue_length: Callable[[], int]) -> None:
        """Take a function that counts the records that wait for an acknowledgement."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gateway_requests", "Answers, by route and status.", ["route", "status"], registry=self.registry
        )
        self.records = Counter(
            "gateway_records", "Records answered, by topic and result.", ["topic", "result"], registry=self.registry
        )
        self.stream_records = Counter(
            "gateway_stream_records",
            "Records of PUTs that Kinesis took, by stream and result.",
            ["stream", "result"],
            registry=self.registry,
        )
        self.stream_requests_failed = Counter(
            "gateway_stream_requests_failed",
            "PUTs that Kinesis refused, by stream and status.",
            ["stream", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "gateway_request_seconds",
            "Time from the request's first byte to its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("gateway_requests_in_flight", "Requests without an answer yet.", registry=self.registry)
        self.body_bytes = Gauge(
            "gateway_body_bytes_in_flight", "Bodies of produce requests held in memory.", registry=self.registry
        )
        queue = Gauge("gateway_queue_records", "Records without an acknowledgement yet.", registry=self.registry)
        queue.set_function(queue_length)


class Measured:
    """ASGI layer: counts each request, gives it an id (`scope["request_id"]`), and logs it if `access_log`."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        scope["request_id"] = str(uuid.uuid4())
        status = 500
        sent = 0

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, counted)
        finally:
            self._metrics.in_flight.dec()
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - begun
            self._metrics.requests.labels(route, status).inc()
            self._metrics.latency.labels(route).observe(seconds)
            if self._access_log:
                log.info("request", **_access_entry(scope, status, sent, seconds))


def _access_entry(scope: Scope, status: int, sent: int, seconds: float) -> dict[str, Any]:
    """Return the fields of an API Gateway access log in JSON, by the names that its users give them."""
    client = scope.get("client") or ("", 0)
    return {
        "requestId": scope["request_id"],
        "ip": client[0],
        "requestTime": datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "httpMethod": scope["method"],
        "resourcePath": getattr(scope.get("route"), "path", "none"),
        "path": scope["path"],
        "status": status,
        "protocol": f"HTTP/{scope['http_version']}",
        "responseLength": sent,
        "responseLatency": round(seconds * 1000),
    }
