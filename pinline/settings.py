"""The settings of every part, read once from the environment and `.env` (the environment wins).

Names are those that each ecosystem already uses. Local and AWS differ in these values only: an endpoint that is unset
means the real service. A wrong value is an error that names the key, the value and what is valid.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pinline.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
"""The checkout. Paths in settings are relative to it."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """All settings; `load()` makes one. Immutable, and passed on to whoever needs it."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    user_id: Annotated[str, Field(pattern=r"^[a-z0-9]{3,32}$")] = "pinline"
    log_format: Literal["json", "console"] = "json"
    runtime: Literal["auto", "docker", "native"] = "auto"
    """Where `make up` starts the services: in Docker, or as processes of this machine; auto: in Docker if it works."""
    kinesis: Literal["localstack", "own"] = "localstack"
    """Which Kinesis service the Docker stack has."""
    ca_bundle: Path | None = None
    """Certificates that the building of images trusts besides the usual ones."""

    aws_region: str = "us-east-1"
    aws_endpoint_url_s3: str | None = None
    aws_endpoint_url_kinesis: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    s3_bucket: str = ""

    rds_host: str = "127.0.0.1"
    rds_port: Port = 3306
    rds_database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")] = "pinterest_data"
    rds_user: str = "emulator"
    rds_password: SecretStr | None = None
    rds_admin_user: str | None = None
    rds_admin_password: SecretStr | None = None
    rds_root_password: SecretStr | None = None
    """Of MySQL's `root` in the Docker stack, which makes the other users."""
    rds_ssl_ca: Path | None = None

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "AWS_MSK_IAM"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca: Path | None = None
    kafka_partitions: Annotated[int, Field(ge=1, le=1000)] = 1
    kafka_replication_factor: Annotated[int, Field(ge=-1, le=10)] = -1
    """Copies of each partition of new topics; -1 lets the broker choose."""
    kafka_min_insync_replicas: Annotated[int, Field(ge=1, le=10)] | None = None
    """How many of them have to be written before a record is acknowledged; None lets the broker choose."""
    kafka_controller_port: Port = 9093
    """The embedded broker's own; nothing else connects to it."""

    api_invoke_url: str = "http://127.0.0.1:8000/dev"
    rest_proxy_port: Port = 8082
    gateway_linger_ms: Annotated[float, Field(ge=0, le=1000)] = 0
    """How long the gateway's producer waits for more records: throughput of batches against one client's latency."""
    gateway_access_log: bool = False
    gateway_kinesis_errors: Literal["useful", "faithful"] = "useful"
    """Kinesis's errors with their status, or with 200 as the tutorial's API has them."""

    kinesis_shards: Annotated[int, Field(ge=1, le=500)] = 1
    """Of each of the three streams, when it is made."""
    kinesis_limits: bool = True
    """Whether the Kinesis service limits its shards' throughput as the cloud does."""

    sink_config: Path = Path("services/sink/s3-sink.properties")
    sink_metrics_port: Port = 8003

    spark_remote: str | None = None
    spark_master: Annotated[str, Field(pattern=r"^(local\[(\d+|\*)\]|spark://[^/\s]+:\d+)$")] = "local[2]"
    """Where the batch's tasks run: in the driver, such as local[2], or on a cluster, such as spark://host:7077."""
    spark_driver_host: str = "127.0.0.1"
    """This machine's address, as a cluster's executors see it; the driver's ports are bound to it."""
    spark_properties: Path | None = None
    """A file of Spark's own properties, which win over ours: executors' memory, fixed ports, authentication."""
    spark_ui_port: Port = 4040
    spark_driver_memory: Annotated[str, Field(pattern=r"^\d+[mg]$")] = "1g"
    stream_ui_port: Port = 4041
    stream_metrics_port: Port = 8004
    stream_driver_memory: Annotated[str, Field(pattern=r"^\d+[mg]$")] = "640m"
    databricks_host: str = "http://127.0.0.1:8001"
    """Where the workspace listens."""
    workspace_pages_url: str | None = None
    """Where people open the workspace's pages, if that is not DATABRICKS_HOST."""
    databricks_token: SecretStr | None = None
    workspace_parallel_runs: Annotated[int, Field(ge=1, le=64)] = 2
    """How many tasks work at once; more of them wait."""
    workspace_keep_days: Annotated[int, Field(ge=1)] = 60
    """How long runs that have ended are kept, with their output and notebooks."""
    workspace_root: Path = Path("spark")
    """The folder whose notebooks and Python files runs may name."""
    jupyter_port: Port = 8888
    quality_max_quarantined: Annotated[float, Field(ge=0, le=1)] = 1.0
    """A share of a run's rows; 1.0 never fails."""

    databricks_notebook_root: str = "/Workspace"
    """Where the workspace has the folder `spark` of the checkout."""
    databricks_cluster_id: str = "pinline"

    airflow_port: Port = 8080
    airflow_password: SecretStr | None = None
    """Of Airflow's user `admin`."""
    airflow_jwt_secret: SecretStr | None = None
    """Airflow's processes sign with it what they ask each other."""
    airflow_db_password: SecretStr | None = None
    """Of Airflow's database in the Docker stack."""

    pinline_fault: str = ""
    """For tests: the write after which the process is killed (pinline/fault.py)."""

    pinline_local: Path = Path(".local")
    """Downloads of the embedded stack: jars, a JRE, MariaDB."""
    pinline_data: Path = Path(".local/data")
    """What the embedded stack and the emulator store, and their logs."""

    @field_validator(
        "aws_endpoint_url_s3", "aws_endpoint_url_kinesis", "api_invoke_url", "databricks_host", "workspace_pages_url"
    )
    @classmethod
    def _is_http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as http://127.0.0.1:4566")
        return value.rstrip("/")

    @field_validator("spark_remote")
    @classmethod
    def _is_connect_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("sc://"):
            raise ValueError("expected an address such as sc://127.0.0.1:15002")
        return value

    @field_validator("kafka_min_insync_replicas")
    @classmethod
    def _is_within_the_copies(cls, value: int | None, info: ValidationInfo) -> int | None:
        copies = info.data.get("kafka_replication_factor", -1)
        if value is not None and 0 < copies < value:
            raise ValueError(f"no record could ever be written: KAFKA_REPLICATION_FACTOR is {copies}")
        return value

    @field_validator(
        "sink_config",
        "spark_properties",
        "workspace_root",
        "pinline_local",
        "pinline_data",
        "rds_ssl_ca",
        "kafka_ssl_ca",
        "ca_bundle",
    )
    @classmethod
    def _from_the_checkout(cls, value: Path | None) -> Path | None:
        return value and ROOT / value.expanduser()

    @cached_property
    def bucket(self) -> str:
        """`S3_BUCKET`, by default `user-<USER_ID>-bucket`."""
        return self.s3_bucket or f"user-{self.user_id}-bucket"

    @property
    def pages_url(self) -> str:
        """`WORKSPACE_PAGES_URL`, by default DATABRICKS_HOST."""
        return self.workspace_pages_url or self.databricks_host

    @property
    def emulator_dir(self) -> Path:
        """Where the emulator keeps its position, its spool and its ledger."""
        return self.pinline_data / "emulator"

    @property
    def jars_dir(self) -> Path:
        """Java parts, one folder a configuration of ivy.xml: `kafka`, `spark`, `mysql`."""
        return self.pinline_local / "jars"


def address(url: str) -> tuple[str, int]:
    """Return host and port of an http(s) or sc URL.

    >>> address("http://127.0.0.1:4566")
    ('127.0.0.1', 4566)
    """
    parts = urlsplit(url)
    default = {"http": 80, "https": 443, "sc": 15002}.get(parts.scheme, 0)
    return parts.hostname or "", parts.port or default


def env_file() -> Path:
    """Return the path of the `.env` in use: `PINLINE_ENV_FILE`, by default `.env` in the checkout."""
    return ROOT / os.environ.get("PINLINE_ENV_FILE", ".env")


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    `file` is the `.env` to read, by default `env_file()`; `overrides` win over everything (field names, lower case).
    Raises SettingsError that names every wrong key, its value and what is valid.
    """
    path = file or env_file()
    try:
        return Settings(_env_file=path, **overrides)  # type: ignore[call-arg]  # pydantic-settings' own argument
    except ValidationError as error:
        raise SettingsError("\n".join([f"settings are wrong ({path} and the environment):", *_lines(error)])) from None


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        key = "_".join(str(part) for part in problem["loc"]).upper()
        value = "***" if any(word in key for word in ("PASSWORD", "SECRET", "TOKEN")) else repr(problem["input"])
        lines.append(f"  {key} has the value {value}: {problem['msg'].removeprefix('Value error, ')}")
    return lines


def environment(settings: Settings) -> dict[str, str]:
    """Return what `${env:NAME}` in a configuration may stand for: the environment, and settings without secrets."""
    shown = {
        name.upper(): str(value)
        for name, value in settings.model_dump().items()
        if value is not None and not isinstance(value, SecretStr)
    }
    return {**os.environ, **shown, "S3_BUCKET": settings.bucket}


def secret(value: SecretStr | None, key: str) -> str:
    """Return a secret's text, or say which setting is missing."""
    if value is None:
        raise SettingsError(f"{key} is not set. `make up` writes one into .env for the local stack; for AWS set yours.")
    return value.get_secret_value()
