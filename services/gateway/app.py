"""One listener's application: the REST proxy's routes, at the root or under API Gateway's stage, and the operator's.

Kinesis's routes are API Gateway's alone.

`/healthz` (the process lives), `/readyz` (Kafka answers), `/metrics` (Prometheus), `/docs` and `/openapi.json` are at
the root of both listeners.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import KafkaException
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway import apigateway, protocol
from gateway.apigateway import Stage
from gateway.cluster import Cluster
from gateway.intake import Intake, TooLongError, TooManyError, TooSlowError
from gateway.kinesis import Kinesis
from gateway.metrics import Measured, Metrics
from gateway.protocol import ProxyError, answer
from gateway.restproxy import create_router
from gateway.streams import add_streams
from gateway.writer import Writer
from pinline.kafka import librdkafka_config
from pinline.settings import Settings

log = structlog.get_logger("gateway")

_OPERATOR = frozenset({"/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"})


@dataclass(frozen=True)
class Parts:
    """What both listeners share."""

    writer: Writer
    cluster: Cluster
    metrics: Metrics
    intake: Intake
    kinesis: Kinesis

    def start(self) -> None:
        """Start the producer's thread."""
        self.writer.start()

    def close(self) -> int:
        """Flush the producer; return how many records had no acknowledgement in time."""
        left = self.writer.close()
        self.cluster.close()
        return left


def create_parts(settings: Settings) -> Parts:
    """Return the parts of a gateway to the Kafka that `settings` name. Kafka need not be there yet."""
    connection = librdkafka_config(settings)
    writer = Writer(connection, linger_ms=settings.gateway_linger_ms)
    cluster = Cluster(lambda timeout: writer.producer.list_topics(timeout=timeout), connection)
    writer.on_unknown_topic = cluster.doubt
    writer.also_poll = cluster.poll
    metrics = Metrics(writer.__len__)
    return Parts(writer, cluster, metrics, Intake(metrics.body_bytes), Kinesis(settings))


def create_app(settings: Settings, parts: Parts, *, stage: str | None) -> FastAPI:
    """Return the application of one listener: behind API Gateway's `stage`, or the plain REST proxy (None)."""
    name = "API Gateway and Kafka REST proxy" if stage else "Kafka REST proxy"
    app = FastAPI(
        title=f"Pinline {name}",
        version="2",
        description="Kafka REST v2: produce (json, binary) and metadata."
        + (" Kinesis: the tutorial's proxy." if stage else ""),
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    app.include_router(
        create_router(parts.writer, parts.cluster, parts.intake, parts.metrics), prefix=f"/{stage}" if stage else ""
    )
    if stage is not None:
        errors = settings.gateway_kinesis_errors
        add_streams(app, f"/{stage}", parts.kinesis, parts.intake, parts.metrics, errors)
    else:

        @app.api_route("/", methods=["GET", "POST"], include_in_schema=False)
        async def root(request: Request) -> Response:
            return answer({}, protocol.negotiate(request.headers.get("accept")))

    _add_operator_routes(app, parts)
    _add_error_answers(app, behind_api_gateway=stage is not None)
    if stage is not None:
        app.add_middleware(Stage, stage=stage, outside=_OPERATOR)
    app.add_middleware(Measured, metrics=parts.metrics, access_log=settings.gateway_access_log)
    return app


def _add_operator_routes(app: FastAPI, parts: Parts) -> None:
    @app.get("/healthz", summary="The process lives", tags=["operation"], response_model=None)
    async def healthz() -> Response:
        return answer({"status": "ok"}, "application/json")

    unready: dict[int | str, dict[str, Any]] = {503: {"description": "Kafka does not answer"}}

    @app.get("/readyz", summary="Kafka answers", tags=["operation"], responses=unready, response_model=None)
    async def readyz() -> Response:
        try:
            snapshot = await parts.cluster.fresh()
        except KafkaException as error:
            return answer({"status": "unready", "error": error.args[0].str()}, "application/json", 503)
        return answer({"status": "ready", "brokers": snapshot.brokers}, "application/json")

    @app.get("/metrics", summary="Prometheus metrics", tags=["operation"], response_model=None, include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(parts.metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})


def _add_error_answers(app: FastAPI, *, behind_api_gateway: bool) -> None:
    def refused(request: Request, error: ProxyError) -> Response:
        return protocol.error_answer(error, request.headers.get("accept"))

    async def proxy_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProxyError)  # noqa: S101  # Starlette's handlers are typed for any exception
        return refused(request, error)

    async def kafka_failed(request: Request, error: Exception) -> Response:
        return refused(request, protocol.kafka_error(error.args[0]))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        accept = request.headers.get("accept")
        return protocol.error_answer(protocol.http_error(error.status_code), accept, error.headers)

    async def too_long(request: Request, _error: Exception) -> Response:
        if behind_api_gateway:
            return apigateway.error_answer(apigateway.TOO_LONG)
        return refused(request, protocol.http_error(413))

    async def too_many(request: Request, _error: Exception) -> Response:
        if behind_api_gateway:
            return apigateway.error_answer(apigateway.TOO_MANY)
        return refused(request, ProxyError(429, 42901, "Too many requests are in work; send it again later."))

    async def too_slow(request: Request, _error: Exception) -> Response:
        return refused(request, protocol.http_error(408))

    async def fault(request: Request, error: Exception) -> Response:
        log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
        if behind_api_gateway:
            return apigateway.error_answer(apigateway.FAULT)
        return refused(request, ProxyError(500, 500, "HTTP 500 Internal Server Error"))

    app.add_exception_handler(ProxyError, proxy_error)
    app.add_exception_handler(KafkaException, kafka_failed)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(TooLongError, too_long)
    app.add_exception_handler(TooManyError, too_many)
    app.add_exception_handler(TooSlowError, too_slow)
    app.add_exception_handler(Exception, fault)
