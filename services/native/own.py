"""The services that are this project's own: each is a Python module that reads the same settings."""

import sys
from pathlib import Path

from native.launch import Launch
from pinline.errors import SettingsError
from pinline.settings import Settings, address


def gateway(_settings: Settings) -> Launch:
    """Return how the gateway is started."""
    return _module("gateway")


def sink(_settings: Settings) -> Launch:
    """Return how the sink is started."""
    return _module("sink")


def kinesis(settings: Settings) -> Launch:
    """Return how the Kinesis service is started. It stands alone, so it gets its settings as arguments."""
    host, port = kinesis_address(settings)
    command = [sys.executable, "-m", "kinesis", "--host", host, "--port", str(port), "--region", settings.aws_region]
    command += ["--bootstrap-servers", settings.kafka_bootstrap_servers]
    command += ["--replication-factor", str(settings.kafka_replication_factor), "--log-format", settings.log_format]
    return Launch(command=(*command, *([] if settings.kinesis_limits else ["--no-limits"])))


def spark(settings: Settings) -> Launch:
    """Return how the Spark Connect server is started; it works in `spark` of the data folder."""
    return _module("lakehouse.server", folders=(settings.pinline_data / "spark",))


def stream(settings: Settings) -> Launch:
    """Return how the streaming job is started; Spark's scratch files are in `spark` of the data folder."""
    return _module("lakehouse.stream", folders=(settings.pinline_data / "spark",))


def workspace(settings: Settings) -> Launch:
    """Return how the workspace is started; it keeps its runs in `workspace` of the data folder."""
    return _module("workspace", folders=(settings.pinline_data / "workspace",))


def gateway_address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the gateway's front with a stage."""
    return address(settings.api_invoke_url)


def kinesis_address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the Kinesis service; without AWS_ENDPOINT_URL_KINESIS nobody is sent there."""
    return address(settings.aws_endpoint_url_kinesis or "http://127.0.0.1:4567")


def workspace_address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the workspace."""
    return address(settings.databricks_host)


def spark_address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the Spark Connect server. Raises SettingsError when the setting is missing."""
    if settings.spark_remote is None:
        raise SettingsError("SPARK_REMOTE is not set; the embedded stack listens there, such as sc://127.0.0.1:15002")
    return address(settings.spark_remote)


def _module(name: str, folders: tuple[Path, ...] = ()) -> Launch:
    return Launch(command=(sys.executable, "-m", name), folders=folders, reads_settings=True)
