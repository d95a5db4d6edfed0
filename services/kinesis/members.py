"""A request's or an answer's members, and what every operation reads of them."""

from typing import Any

from kinesis.errors import KinesisError, invalid_argument

Members = dict[str, Any]


def stream_name(members: Members) -> str:
    """Return the stream that a request names, by StreamName or StreamARN. Raises InvalidArgumentException."""
    name: str | None = members.get("StreamName")
    arn: str | None = members.get("StreamARN")
    if arn is not None:
        named = arn.rpartition(":stream/")[2]
        if name is not None and name != named:
            raise invalid_argument(f"StreamName {name} and StreamARN {arn} do not name the same stream.")
        return named
    if name is None:
        raise invalid_argument("Either StreamName or StreamARN has to be provided.")
    return name


def stop_dry_run(members: Members) -> None:
    """Raise DryRunOperationException if the request only asks whether it would succeed."""
    if members.get("DryRun"):
        raise KinesisError("DryRunOperationException", "The request would have succeeded, but the DryRun flag is set.")
