"""Where each setting points, and whether anything answers there: the same questions for the local stack and for AWS."""

from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from native import ready
from native.ready import Check, problem
from pinline.aws import kinesis_client, s3_client
from pinline.events import streams
from pinline.runtime import Finding
from pinline.settings import Settings, secret


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
    ]

    def ask(line: tuple[str, str, str, Check]) -> Finding:
        system, place, setting, check = line
        if check is ready.spark and settings.spark_remote is None:
            return Finding(system, place, setting, answers=True, detail="jobs start a session of their own")
        reason = problem(check, settings)
        return Finding(system, place, setting, reason is None, reason or "answers")

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(ask, asked))


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
