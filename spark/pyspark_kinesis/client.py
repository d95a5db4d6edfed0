"""Kinesis as this source sees it: few calls, and errors of our own tree.

Every call is tried once. `UnreachableError` is worth another try, which is the caller's to pace; `patiently` does it
for calls that nobody waits for in a hurry.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TypeVar

from pyspark_kinesis.errors import (
    AccessError,
    IteratorExpiredError,
    KinesisSourceError,
    OptionError,
    RequestError,
    StreamNotFoundError,
    UnreachableError,
)
from pyspark_kinesis.options import Options, stream_name
from pyspark_kinesis.rows import Records
from pyspark_kinesis.shards import Shard

PATIENCE_SECONDS = 120.0
_T = TypeVar("_T")
_PASSING = {
    "InternalFailure",
    "InternalServerError",
    "KMSThrottlingException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
}
_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "KMSAccessDeniedException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


@dataclass(frozen=True)
class StreamState:
    """What tells a stream from another of its name, and how long it keeps records."""

    created_ms: int
    retention_ms: int
    active: bool


@dataclass(frozen=True)
class Answer:
    """What a GetRecords gave. `next` is None at a closed shard's end; `behind_ms` is 0 at the tip."""

    records: Records
    next: str | None
    behind_ms: int


class Kinesis:
    """The calls. Thread-safe."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._client = _client(options)
        self.where = f"{options.endpoint or 'AWS'}, region {self._client.meta.region_name}"

    def state(self, stream: str) -> StreamState:
        """Return what DescribeStreamSummary says."""
        answer = self._call("describe_stream_summary", stream, **_named(stream))
        found = answer["StreamDescriptionSummary"]
        if found["StreamStatus"] == "DELETING":
            raise self.missing(stream, "it is being deleted")
        return StreamState(
            created_ms=round(found["StreamCreationTimestamp"].timestamp() * 1000),
            retention_ms=int(found["RetentionPeriodHours"]) * 3_600_000,
            active=found["StreamStatus"] != "CREATING",
        )

    def shards(self, stream: str) -> list[Shard]:
        """Return all shards that are kept, open and closed."""
        found: list[Shard] = []
        request: dict[str, Any] = _named(stream)
        while True:
            answer = self._call("list_shards", stream, **request)
            found += [_shard(shard) for shard in answer["Shards"]]
            if not answer.get("NextToken"):
                return found
            request = {"NextToken": answer["NextToken"]}

    def iterator(self, stream: str, shard: str, kind: str, **start: Any) -> str:
        """Return a shard iterator of a type, with StartingSequenceNumber or Timestamp if the type takes one."""
        answer = self._call(
            "get_shard_iterator", stream, **_named(stream), ShardId=shard, ShardIteratorType=kind, **start
        )
        return str(answer["ShardIterator"])

    def records(self, stream: str, iterator: str) -> Answer:
        """Return the next records. Raises IteratorExpiredError after five minutes."""
        answer = self._call(
            "get_records", stream, ShardIterator=iterator, Limit=self._options.records_per_fetch, **_arn(stream)
        )
        return Answer(answer["Records"], answer.get("NextShardIterator"), answer["MillisBehindLatest"])

    def missing(self, stream: str, found: str) -> StreamNotFoundError:
        """Return the error that says that a stream isn't there."""
        return StreamNotFoundError(
            f"cannot read the stream {stream} ({self.where}): {found}. Check streamName, region and endpointUrl, or "
            "create the stream; `aws kinesis list-streams` shows those that there are."
        )

    def _call(self, operation: str, stream: str, **request: Any) -> Any:
        from botocore import exceptions as botocore

        try:
            return getattr(self._client, operation)(**request)
        except botocore.ClientError as error:
            raise self._meaning(error, operation, stream) from error
        except (botocore.HTTPClientError, botocore.ConnectionError) as error:
            raise UnreachableError(f"cannot reach Kinesis ({self.where}): {error}. Is it running?") from error
        except (
            botocore.NoCredentialsError,
            botocore.PartialCredentialsError,
            botocore.CredentialRetrievalError,
        ) as error:
            raise AccessError(
                f"cannot {_words(operation)} of {stream} ({self.where}): {error}. Give awsAccessKey and awsSecretKey, "
                "or whatever boto3 takes credentials from."
            ) from error
        except botocore.BotoCoreError as error:
            raise RequestError(f"cannot {_words(operation)} of {stream} ({self.where}): {error}") from error

    def _meaning(self, error: Any, operation: str, stream: str) -> KinesisSourceError:
        code, text = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "ExpiredIteratorException":
            return IteratorExpiredError(text)
        if code == "ResourceNotFoundException":
            return self.missing(stream, f"{code}: {text}")
        if code in _REFUSED:
            who = "the given awsAccessKey" if self._options.access_key else "boto3's credentials"
            return AccessError(
                f"Kinesis refuses to {_words(operation)} of {stream} ({self.where}) with {who}: {code}: {text}. "
                "Check awsAccessKey, awsSecretKey and roleArn, and the policy's kinesis: actions."
            )
        if code in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnreachableError(f"Kinesis can't {_words(operation)} of {stream} now ({self.where}): {code}: {text}")
        return RequestError(f"cannot {_words(operation)} of {stream} ({self.where}): {code}: {text}")


def patiently(call: Callable[[], _T], seconds: float = PATIENCE_SECONDS) -> _T:
    """Return what `call` returns; while it raises UnreachableError it is tried again, for `seconds`."""
    deadline = time.monotonic() + seconds
    for pause in backoff():
        try:
            return call()
        except UnreachableError:
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
    raise AssertionError


def backoff(first: float = 0.25, most: float = 5.0) -> Iterator[float]:
    """Return pauses in seconds that double up to `most`, each shortened by up to half at random."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1)  # noqa: S311
        pause = min(most, pause * 2)


@lru_cache(maxsize=8)
def _client(options: Options) -> Any:
    """Return a client of boto3, which takes a tenth of a second to make; a process has one for the same options."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        retries={"max_attempts": 0}, connect_timeout=5, read_timeout=30, max_pool_connections=64, tcp_keepalive=True
    )
    try:
        session = boto3.Session(
            aws_access_key_id=options.access_key,
            aws_secret_access_key=options.secret_key,
            aws_session_token=options.session_token,
            region_name=options.region,
        )
        if options.role:
            session = _assumed(session, options)
        client = session.client("kinesis", endpoint_url=options.endpoint, config=config)
    except BotoCoreError as error:
        raise OptionError(
            f"cannot make a Kinesis client: {error}. Give the option region, or set AWS_REGION."
        ) from error
    client.meta.events.register("before-parse.kinesis.GetRecords", _take_records)
    return client


def _take_records(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take the records out of an answer as columns: botocore's own parser needs five times as long for them."""
    if response_dict["status_code"] == HTTPStatus.OK:
        body = json.loads(response_dict["body"])
        customized_response_dict["Records"] = Records.of(body.pop("Records", []))
        response_dict["body"] = json.dumps(body).encode()


def _assumed(session: Any, options: Options) -> Any:
    """Return a session with a role's credentials, which are renewed before they expire."""
    import boto3
    from botocore.credentials import DeferredRefreshableCredentials
    from botocore.session import get_session

    request = {"RoleArn": options.role, "RoleSessionName": options.role_session}
    if options.role_external_id:
        request["ExternalId"] = options.role_external_id
    sts = session.client("sts")

    def refresh() -> dict[str, str]:
        found = sts.assume_role(**request)["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].astimezone(UTC).isoformat(),
        }

    with_role = get_session()
    with_role._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]  # noqa: SLF001
        refresh, "assume-role"
    )
    return boto3.Session(botocore_session=with_role, region_name=session.region_name)


def _named(stream: str) -> dict[str, Any]:
    return _arn(stream) or {"StreamName": stream}


def _arn(stream: str) -> dict[str, Any]:
    return {"StreamARN": stream} if stream != stream_name(stream) else {}


def _shard(shard: dict[str, Any]) -> Shard:
    hashes = shard.get("HashKeyRange") or {"StartingHashKey": "0", "EndingHashKey": str(2**128 - 1)}
    return Shard(
        id=shard["ShardId"],
        parents=tuple(shard[name] for name in ("ParentShardId", "AdjacentParentShardId") if shard.get(name)),
        closed="EndingSequenceNumber" in shard.get("SequenceNumberRange", {}),
        hashes=(int(hashes["StartingHashKey"]), int(hashes["EndingHashKey"])),
    )


def _words(operation: str) -> str:
    return {
        "describe_stream_summary": "describe the stream",
        "list_shards": "list the shards",
        "get_shard_iterator": "get a shard iterator",
        "get_records": "get records",
    }[operation]


def timestamp(ms: int) -> datetime:
    """Return milliseconds of the epoch as boto3 takes times."""
    return datetime.fromtimestamp(ms / 1000, UTC)
