"""Keeps two data sets from mixing: the bucket remembers which one its events came from.

`s3://<bucket>/_pinline/seed.json` holds `{"fingerprint": ..., "events": ...}` of the last load. While events of it are
stored, another data set under the same keys would turn into key conflicts, so loading one is refused.
"""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pinline.aws import s3_client
from pinline.errors import PinlineError, StateError, UnreachableError
from pinline.objects import TOPICS_DIR
from pinline.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "_pinline/seed.json"
EVENT_PREFIXES = (f"{TOPICS_DIR}/", "lake/silver/")


class Guard:
    """The bucket's memory of the data set."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._s3: S3Client = s3_client(settings, attempts=2)
        self._bucket = settings.bucket

    def check(self, fingerprint: str) -> None:
        """Raise StateError if events of another data set are stored.

        Raises UnreachableError if S3 doesn't answer, StateError if the bucket is missing.
        """
        try:
            stored = self._stored()
            if stored in (None, fingerprint):
                return
            found = [prefix for prefix in EVENT_PREFIXES if self._holds(prefix)]
        except (BotoCoreError, ClientError) as error:
            raise self._problem(error) from None
        if found:
            raise StateError(
                f"cannot load [{fingerprint}]: s3://{self._bucket} holds events of [{stored}] under "
                f"{' and '.join(found)}, and both use the same keys. "
                "`make reset` empties everything; or load the earlier data again (its --seed and --events, or --from)."
            )

    def remember(self, fingerprint: str, events: int) -> None:
        """Write down which data set is loaded."""
        body = json.dumps({"fingerprint": fingerprint, "events": events}).encode()
        try:
            self._s3.put_object(Bucket=self._bucket, Key=KEY, Body=body, ContentType="application/json")
        except (BotoCoreError, ClientError) as error:
            raise self._problem(error) from None

    def _stored(self) -> str | None:
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=KEY)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        try:
            return str(json.loads(body)["fingerprint"])
        except (ValueError, KeyError, TypeError):
            raise StateError(
                f"s3://{self._bucket}/{KEY} is not what a load writes: {body[:80]!r}. Remove it, or: make reset"
            ) from None

    def _holds(self, prefix: str) -> bool:
        return self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=1)["KeyCount"] > 0

    def _problem(self, error: BotoCoreError | ClientError) -> PinlineError:
        if isinstance(error, ClientError):
            code = error.response["Error"]["Code"]
            if code == "NoSuchBucket":
                return StateError(
                    f"the bucket {self._bucket} does not exist, and loading looks there first. Try: make up"
                )
            return StateError(f"S3 refused to say what s3://{self._bucket} holds: {error}")
        address = self._settings.aws_endpoint_url_s3 or f"Amazon S3 in {self._settings.aws_region}"
        return UnreachableError("S3", address, "AWS_ENDPOINT_URL_S3", error)
