"""Clients of AWS's APIs. An unset endpoint means the real service; unset credentials, boto3's chain."""

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def s3_client(settings: Settings, *, attempts: int = 5, pool: int = 10) -> "S3Client":
    """Return an S3 client: `attempts` tries a call (botocore's standard mode), `pool` connections kept open."""
    key = settings.aws_access_key_id
    return boto3.client(
        "s3",
        region_name=settings.aws_region,
        endpoint_url=settings.aws_endpoint_url_s3,
        aws_access_key_id=key,
        aws_secret_access_key=settings.aws_secret_access_key.get_secret_value()
        if settings.aws_secret_access_key
        else None,
        aws_session_token=settings.aws_session_token.get_secret_value() if settings.aws_session_token else None,
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
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    return boto3.client(
        "kinesis",
        region_name=settings.aws_region,
        endpoint_url=settings.aws_endpoint_url_kinesis,
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        aws_session_token=token.get_secret_value() if token else None,
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=5, read_timeout=30),
    )
