"""Where each setting points, and whether anything answers there: the same questions for the local stack and for AWS."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from native import envfile, preflight, ready
from native.mysql import find_server
from native.ready import Check, problem
from pinline import java
from pinline.aws import kinesis_client, s3_client
from pinline.errors import PinlineError
from pinline.events import streams
from pinline.settings import Settings, env_file, secret


@dataclass(frozen=True)
class Finding:
    """One line of `pinline doctor`."""

    system: str
    address: str
    setting: str
    answers: bool
    detail: str


def systems(settings: Settings) -> list[Finding]:
    """Ask every system that the settings name, all at the same time."""
    rds = f"{settings.rds_user}@{settings.rds_host}:{settings.rds_port}/{settings.rds_database}"
    asked: list[tuple[str, str, str, Check]] = [
        ("MySQL", rds, "RDS_HOST, RDS_PORT", ready.mysql),
        ("Kafka", settings.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS", ready.kafka),
        ("S3", f"{settings.aws_endpoint_url_s3 or 'AWS'} bucket {settings.bucket}", "AWS_ENDPOINT_URL_S3", _bucket),
        ("Kinesis", settings.aws_endpoint_url_kinesis or "AWS", "AWS_ENDPOINT_URL_KINESIS", _streams),
        ("API", settings.api_invoke_url, "API_INVOKE_URL", _api),
        ("Airflow", f"http://127.0.0.1:{settings.airflow_port}", "AIRFLOW_PORT", ready.airflow_api),
        ("Spark", settings.spark_remote or "local mode", "SPARK_REMOTE", ready.spark),
        ("Databricks", settings.databricks_host, "DATABRICKS_HOST, DATABRICKS_TOKEN", _jobs_api),
        ("sink", f"127.0.0.1:{settings.sink_metrics_port}", "SINK_METRICS_PORT", ready.sink),
    ]

    def ask(line: tuple[str, str, str, Check]) -> Finding:
        system, place, setting, check = line
        if check is ready.spark and settings.spark_remote is None:
            return Finding(system, place, setting, answers=True, detail="jobs start a session of their own")
        reason = problem(check, settings)
        return Finding(system, place, setting, reason is None, reason or "answers")

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(ask, asked))


def machine(settings: Settings) -> list[Finding]:
    """Look at what the embedded stack takes from this machine."""
    return [
        _found("Java", "JAVA_HOME", _java_line),
        _found("MariaDB", "PINLINE_LOCAL", lambda: str(find_server(settings).program)),
        _found("disk", "PINLINE_DATA", lambda: _disk_line(settings)),
        _found(".env", "PINLINE_ENV_FILE", _env_line),
    ]


def _found(system: str, setting: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(system, look(), setting, answers=True, detail="found")
    except PinlineError as error:
        return Finding(system, "", setting, answers=False, detail=str(error))


def _java_line() -> str:
    found = java.find()
    return f"{found.program} (Java {found.version})"


def _disk_line(settings: Settings) -> str:
    if texts := preflight.disk_problems(settings):
        raise PinlineError(texts[0])
    folder = next(path for path in (settings.pinline_data, *settings.pinline_data.parents) if path.exists())
    return f"{settings.pinline_data}: {shutil.disk_usage(folder).free / 1e9:.0f} GB free"


def _env_line() -> str:
    file = env_file()
    if not file.exists():
        raise PinlineError(f"{file} is not there. `make up` makes it")
    if unknown := envfile.unknown_keys(file):
        names = ", ".join(f"{key}{f' (did you mean {meant}?)' if meant else ''}" for key, meant in unknown.items())
        raise PinlineError(f"{file} has keys that no setting has: {names}")
    return str(file)


def _bucket(settings: Settings) -> None:
    """The bucket is there."""
    s3_client(settings, attempts=1).head_bucket(Bucket=settings.bucket)


def _streams(settings: Settings) -> None:
    """The three streams are there."""
    client = kinesis_client(settings, attempts=1)
    for stream in streams(settings.user_id):
        client.describe_stream_summary(StreamName=stream)


def _jobs_api(settings: Settings) -> None:
    """The Jobs API takes the token."""
    token = secret(settings.databricks_token, "DATABRICKS_TOKEN")
    headers = {"authorization": f"Bearer {token}"}
    request = Request(f"{settings.databricks_host}/api/2.2/jobs/list?limit=1", headers=headers)  # noqa: S310  # a setting
    urlopen(request, timeout=5).close()  # noqa: S310


def _api(settings: Settings) -> None:
    """It answers, with whatever status: an API of AWS may refuse this question."""
    try:
        urlopen(f"{settings.api_invoke_url}/topics", timeout=5).close()  # noqa: S310  # the address of a setting
    except HTTPError as error:
        if error.code >= 500:
            raise
