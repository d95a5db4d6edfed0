"""MiniStack, which stands in for S3 at AWS_ENDPOINT_URL_S3; objects are kept on disk and survive a kill."""

import sys
from io import StringIO

from dotenv import dotenv_values

from native import layout
from native.launch import Launch, render
from pinline.errors import SettingsError
from pinline.settings import Settings
from pinline.settings import address as url_address


def address(settings: Settings) -> tuple[str, int]:
    """Return host and port. Raises SettingsError when the endpoint is not set."""
    if settings.aws_endpoint_url_s3 is None:
        raise SettingsError("AWS_ENDPOINT_URL_S3 is not set, which means AWS itself: there is no local S3 to start.")
    return url_address(settings.aws_endpoint_url_s3)


def launch(settings: Settings) -> Launch:
    """Return how MiniStack is started."""
    host, port = address(settings)
    folder = layout.service_dir(settings, "s3")
    text = render(
        layout.template("aws", "ministack.env"),
        {"host": host, "port": port, "data_dir": folder, "region": settings.aws_region},
    )
    environment = dotenv_values(stream=StringIO(text), interpolate=False)
    return Launch(
        command=(sys.executable, "-m", "ministack"),
        environment={key: value or "" for key, value in environment.items()},
        folders=(folder / "state", folder / "objects", folder / "tmp"),
    )
