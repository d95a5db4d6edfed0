"""Whether a service does its work: each check asks what a client would ask. It returns, or raises what went wrong."""

import json
import logging
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc  # type: ignore[import-untyped]
import pymysql
from kafka.admin import KafkaAdminClient

from native import own
from pinline.errors import SettingsError
from pinline.kafka import kafka_python_config
from pinline.settings import Settings, address, secret

Check = Callable[[Settings], None]
_SECONDS = 3.0


class FailingError(Exception):
    """A service answers, and says why it can't work."""


def mysql(settings: Settings) -> None:
    """RDS_USER logs in and a query answers."""
    connection = pymysql.connect(
        host=settings.rds_host,
        port=settings.rds_port,
        user=settings.rds_user,
        password=secret(settings.rds_password, "RDS_PASSWORD"),
        database=settings.rds_database,
        ssl={"ca": str(settings.rds_ssl_ca)} if settings.rds_ssl_ca else None,
        connect_timeout=int(_SECONDS),
        read_timeout=_SECONDS,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def kafka(settings: Settings) -> None:
    """A metadata request answers and names a controller."""
    _connect_to_any(settings.kafka_bootstrap_servers.split(","))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    admin = KafkaAdminClient(
        **kafka_python_config(settings),
        request_timeout_ms=int(_SECONDS * 1000),
        bootstrap_timeout_ms=int(_SECONDS * 1000),
    )
    try:
        if not admin.describe_cluster().get("brokers"):
            raise ConnectionError("it names no broker yet")
    finally:
        admin.close()


def s3(settings: Settings) -> None:
    """MiniStack's health route answers."""
    _get(f"{settings.aws_endpoint_url_s3}/_ministack/health")


def gateway(settings: Settings) -> None:
    """Both of the gateway's ports say that it is ready."""
    host, port = address(settings.api_invoke_url)
    _get(f"http://{host}:{port}/readyz")
    _get(f"http://{host}:{settings.rest_proxy_port}/readyz")


def kinesis(settings: Settings) -> None:
    """The Kinesis service says that it is ready: Kafka answers, and its streams are known."""
    host, port = own.kinesis_address(settings)
    _get(f"http://{host}:{port}/readyz")


def sink(settings: Settings) -> None:
    """The sink says that it is ready."""
    _get(f"http://127.0.0.1:{settings.sink_metrics_port}/readyz")


def stream(settings: Settings) -> None:
    """The streaming job's query works. Raises FailingError with what it failed of."""
    status = _stream_status(settings)
    if status["failing"]:
        raise FailingError(status["problem"])
    if not status["ready"]:
        raise ConnectionError(status["problem"])


def stream_detail(settings: Settings) -> str:
    """Return how far behind the streaming job is, and how fast."""
    status = _stream_status(settings)
    batch = "no batch yet" if status["batch_seconds"] is None else f"last batch {status['batch_seconds']:.1f} s"
    lag = f"lag {status['lag_seconds']:,.0f} s, {status['lag_records']:,} records"
    return f"{lag}, {status['rows_per_second']:,.0f} rows/s, {batch}"


def _stream_status(settings: Settings) -> dict[str, Any]:
    try:
        answer = _get(f"http://127.0.0.1:{settings.stream_metrics_port}/readyz")
    except HTTPError as error:
        if error.code != 503:
            raise
        answer = error.read()
    status: dict[str, Any] = json.loads(answer)
    return status


def spark(settings: Settings) -> None:
    """The Spark Connect port speaks gRPC."""
    if settings.spark_remote is None:
        raise SettingsError("SPARK_REMOTE is not set")
    host, port = address(settings.spark_remote)
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_SECONDS)
        except grpc.FutureTimeoutError:
            raise ConnectionError(f"no gRPC answer from {host}:{port}") from None


def workspace(settings: Settings) -> None:
    """The workspace says that runs can work: its database and Spark answer."""
    host, port = own.workspace_address(settings)
    _get(f"http://{host}:{port}/readyz")


def airflow_api(settings: Settings) -> None:
    """Airflow's health route answers, and its database does."""
    if (status := _airflow_health(settings)["metadatabase"]["status"]) != "healthy":
        raise ConnectionError(f"its database is {status}")


def airflow_part(service: str, part: str) -> Check:
    """Return the check of a process of Airflow's: it has told the database that it lives, since it was started."""

    def check(settings: Settings) -> None:
        from native import supervise  # what it takes is not installed where the stack runs in containers

        health = _airflow_health(settings)[part]
        beat = health[f"latest_{part}_heartbeat"]
        if health["status"] != "healthy" or beat is None:
            raise ConnectionError(f"Airflow has not heard of it lately (last: {beat})")
        supervisor = supervise.connect(settings)
        if supervisor and datetime.fromisoformat(beat).timestamp() < supervisor.programs()[service].start:
            raise ConnectionError(f"Airflow has not heard of it since it was started (last: {beat})")

    return check


def _airflow_health(settings: Settings) -> dict[str, Any]:
    health: dict[str, Any] = json.loads(_get(f"http://127.0.0.1:{settings.airflow_port}/api/v2/monitor/health"))
    return health


def problem(check: Check, settings: Settings) -> str | None:
    """Return why the service is not ready, as one line, or None if it is."""
    return examine(check, settings)[1]


def examine(check: Check, settings: Settings) -> tuple[Literal["ready", "starting", "failing"], str | None]:
    """Return the state of a service that runs, and why it is not ready, as one line."""
    try:
        check(settings)
    except Exception as error:  # whatever a client raises is the answer
        text = " ".join(str(error).split()) or type(error).__name__
        return ("failing" if isinstance(error, FailingError) else "starting"), text
    return "ready", None


def _connect_to_any(servers: list[str]) -> None:
    """Raise the last one's error if none of the servers takes a connection: of several brokers some may be down."""
    for number, server in enumerate(servers, 1):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_SECONDS).close()
        except OSError:
            if number == len(servers):
                raise
        else:
            return


def _get(url: str) -> bytes:
    """Return the body of a 200 answer."""
    with urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  # the address of a setting
        body: bytes = answer.read()
    return body
