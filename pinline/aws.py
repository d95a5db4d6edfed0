"""Clients of AWS's APIs. An unset endpoint means the real service; unset credentials, boto3's chain."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import boto3
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from pinline.errors import RefusedError, SettingsError, StateError, UnreachableError
from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class _Account(TypedDict):
    region_name: str
    aws_access_key_id: str | None
    aws_secret_access_key: str | None
    aws_session_token: str | None


def s3_client(settings: Settings, *, attempts: int = 5, pool: int = 10) -> "S3Client":
    """Return an S3 client: `attempts` tries a call (botocore's standard mode), `pool` connections kept open."""
    return boto3.client(
        "s3",
        endpoint_url=settings.aws_endpoint_url_s3,
        **_account(settings),
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=pool,
            connect_timeout=5,
            read_timeout=30,
            # path style on an endpoint of our own: bucket.127.0.0.1 resolves nowhere
            s3={"addressing_style": "path" if settings.aws_endpoint_url_s3 else "auto"},
            request_checksum_calculation="when_required",
        ),
    )


def kinesis_client(settings: Settings, *, attempts: int = 5) -> Any:
    """Return a Kinesis client: `attempts` tries a call (botocore's standard mode)."""
    return boto3.client(
        "kinesis",
        endpoint_url=settings.aws_endpoint_url_kinesis,
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=5, read_timeout=30),
        **_account(settings),
    )  # type: ignore[call-overload,unused-ignore]


@dataclass(frozen=True)
class Account:
    """What it takes to sign requests by hand, where each millisecond counts."""

    url: str
    region: str
    _credentials: Credentials | None

    def credentials(self) -> ReadOnlyCredentials:
        """Return the credentials of now; a role's are renewed by this call. Raises SettingsError if there are none."""
        if self._credentials is None:
            raise SettingsError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give a role")
        return self._credentials.get_frozen_credentials()


def kinesis_account(settings: Settings) -> Account:
    """Return where Kinesis is and what signs requests to it."""
    session = boto3.Session(**_account(settings))
    client = session.client("kinesis", endpoint_url=settings.aws_endpoint_url_kinesis)
    return Account(f"{client.meta.endpoint_url}/", settings.aws_region, session.get_credentials())


def sts_client(settings: Settings) -> Any:
    """Return an STS client of AWS, which says whose the credentials are."""
    return boto3.client(
        "sts", config=Config(connect_timeout=5, retries={"total_max_attempts": 1}), **_account(settings)
    )  # type: ignore[call-overload,unused-ignore]


def _account(settings: Settings) -> _Account:
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    return {
        "region_name": settings.aws_region,
        "aws_access_key_id": settings.aws_access_key_id,
        "aws_secret_access_key": secret.get_secret_value() if secret else None,
        "aws_session_token": token.get_secret_value() if token else None,
    }


@contextmanager
def kinesis_errors(settings: Settings) -> Iterator[None]:
    """Turn boto3's errors of Kinesis into Pinline's, naming the endpoint."""
    where = settings.aws_endpoint_url_kinesis or f"AWS in {settings.aws_region}"
    try:
        yield
    except ClientError as error:
        told = error.response["Error"]
        if told["Code"] == "ResourceNotFoundException":
            raise StateError(f"{told['Message']} Look with: pinline streams list") from None
        raise RefusedError(f"Kinesis at {where} answered {told['Code']}: {told['Message']}") from None
    except BotoCoreError as error:
        raise UnreachableError("Kinesis", where, "AWS_ENDPOINT_URL_KINESIS", error) from None
