"""The services of the embedded stack: how each starts, what it needs, how it shows that it works, where it listens."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from native import airflow, kafka, mysql, own, ready, s3
from native.launch import Launch
from native.ready import Check
from pinline.errors import SettingsError
from pinline.settings import Settings


@dataclass(frozen=True)
class Service:
    """One service. Functions take the settings."""

    name: str
    launch: Callable[[Settings], Launch]
    check: Check
    ports: Callable[[Settings], dict[str, tuple[str, int]]]
    """The addresses it listens on, each by the setting that moves it. The first is the one to show."""
    needs: frozenset[str] = frozenset()
    """What has to be ready before it starts: services, which stop after it, and `bucket`, `topics`, `streams`."""
    prepare: Callable[[Settings], None] = lambda _settings: None
    """What is done once, before the first start."""
    stop_seconds: int = 30
    detail: Callable[[Settings], str | None] = lambda _settings: None
    """What else `status` shows of a service that is ready."""


SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service("s3", s3.launch, ready.s3, lambda settings: {"AWS_ENDPOINT_URL_S3": s3.address(settings)}),
        Service(
            "kafka",
            kafka.launch,
            ready.kafka,
            lambda settings: {
                "KAFKA_BOOTSTRAP_SERVERS": kafka.address(settings),
                "KAFKA_CONTROLLER_PORT": ("127.0.0.1", settings.kafka_controller_port),
            },
            prepare=kafka.prepare,
        ),
        Service(
            "mysql",
            mysql.launch,
            ready.mysql,
            lambda settings: {"RDS_PORT": (settings.rds_host, settings.rds_port)},
            prepare=mysql.prepare,
        ),
        Service(
            "spark",
            own.spark,
            ready.spark,
            lambda settings: {
                "SPARK_REMOTE": own.spark_address(settings),
                "SPARK_UI_PORT": ("127.0.0.1", settings.spark_ui_port),
            },
            needs=frozenset({"s3", "bucket"}),
        ),
        Service(
            "kinesis",
            own.kinesis,
            ready.kinesis,
            lambda settings: {"AWS_ENDPOINT_URL_KINESIS": own.kinesis_address(settings)},
            needs=frozenset({"kafka"}),
        ),
        Service(
            "gateway",
            own.gateway,
            ready.gateway,
            lambda settings: {
                "API_INVOKE_URL": own.gateway_address(settings),
                "REST_PROXY_PORT": (own.gateway_address(settings)[0], settings.rest_proxy_port),
            },
            needs=frozenset({"kafka", "topics"}),
        ),
        Service(
            "sink",
            own.sink,
            ready.sink,
            lambda settings: {"SINK_METRICS_PORT": ("127.0.0.1", settings.sink_metrics_port)},
            needs=frozenset({"kafka", "topics", "s3", "bucket"}),
            stop_seconds=60,
        ),
        Service(
            "stream",
            own.stream,
            ready.stream,
            lambda settings: {
                "STREAM_METRICS_PORT": ("127.0.0.1", settings.stream_metrics_port),
                "STREAM_UI_PORT": ("127.0.0.1", settings.stream_ui_port),
            },
            needs=frozenset({"kinesis", "streams", "s3", "bucket"}),
            detail=ready.stream_detail,
        ),
        Service(
            "workspace",
            own.workspace,
            ready.workspace,
            lambda settings: {"DATABRICKS_HOST": own.workspace_address(settings)},
            needs=frozenset({"spark"}),
        ),
        Service(
            "airflow-api",
            airflow.launch("api-server"),
            ready.airflow_api,
            lambda settings: {"AIRFLOW_PORT": ("127.0.0.1", settings.airflow_port)},
            prepare=airflow.prepare,
        ),
        Service(
            "airflow-scheduler",
            airflow.launch("scheduler", "--skip-serve-logs"),
            ready.airflow_part("airflow-scheduler", "scheduler"),
            lambda _settings: {},
            prepare=airflow.prepare,
            stop_seconds=10,  # it waits for its tasks; one that is cut short is tried again
        ),
        Service(
            "airflow-dags",
            airflow.launch("dag-processor"),
            ready.airflow_part("airflow-dags", "dag_processor"),
            lambda _settings: {},
            prepare=airflow.prepare,
        ),
        Service(
            "airflow-triggerer",
            airflow.launch("triggerer", "--skip-serve-logs"),
            ready.airflow_part("airflow-triggerer", "triggerer"),
            lambda _settings: {},
            prepare=airflow.prepare,
            stop_seconds=4,  # it waits 10 s for nothing; what it watches is kept in the database
        ),
    )
}
"""In the order in which they are shown."""


def choose(names: Iterable[str]) -> dict[str, Service]:
    """Return the named services, all if none is named. Raises SettingsError on an unknown name."""
    wanted = list(names)
    if unknown := sorted(set(wanted) - SERVICES.keys()):
        raise SettingsError(f"unknown service {', '.join(unknown)}. Valid: {', '.join(SERVICES)}")
    return {name: service for name, service in SERVICES.items() if not wanted or name in wanted}
