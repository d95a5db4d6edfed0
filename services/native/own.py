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


def spark(settings: Settings) -> Launch:
    """Return how the Spark Connect server is started; it works in `spark` of the data folder."""
    return _module("lakehouse.server", folders=(settings.pinline_data / "spark",))


def gateway_address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the gateway's front with a stage."""
    return address(settings.api_invoke_url)


def spark_address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the Spark Connect server. Raises SettingsError when the setting is missing."""
    if settings.spark_remote is None:
        raise SettingsError("SPARK_REMOTE is not set; the embedded stack listens there, such as sc://127.0.0.1:15002")
    return address(settings.spark_remote)


def _module(name: str, folders: tuple[Path, ...] = ()) -> Launch:
    return Launch(command=(sys.executable, "-m", name), folders=folders, reads_settings=True)
