"""The options of `format("kinesis")`, checked once; the environment is read here and nowhere else.

Names are those of Databricks' source. An unknown one is an error that lists the known ones.
"""

import difflib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, TypeVar

from pyspark_kinesis.errors import OptionError

_READ = (
    "streamName",
    "streamARN",
    "region",
    "endpointUrl",
    "initialPosition",
    "awsAccessKey",
    "awsSecretKey",
    "awsSessionToken",
    "roleArn",
    "roleExternalId",
    "roleSessionName",
    "maxRecordsPerFetch",
    "maxFetchRate",
    "minFetchPeriod",
    "maxFetchDuration",
    "fetchBufferSize",
    "shardFetchInterval",
    "maxRecordsPerTrigger",
    "maxBytesPerTrigger",
    "failOnDataLoss",
    "consumerMode",
)
_WITHOUT_EFFECT = ("shardsPerTask",)
_FAN_OUT = "it belongs to enhanced fan-out (consumerMode=efo), which this source doesn't have"
_ELSEWHERE = {
    "consumername": _FAN_OUT,
    "requireconsumerderegistration": _FAN_OUT,
    "servicecredential": "only Databricks knows it. Give awsAccessKey and awsSecretKey, a roleArn, or leave them out "
    "for boto3's own credentials",
}
_T = TypeVar("_T")
_Number = TypeVar("_Number", int, float)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_STREAM_ARN = re.compile(r"arn:[a-z0-9-]+:kinesis:([a-z0-9-]+):\d{12}:stream/([a-zA-Z0-9_.-]{1,128})")
_JAVA_PATTERN = re.compile(r"yyyy|MM|dd|HH|hh|mm|ss|SSS|a|XXX|ZZZ|Z|X|z|'[^']*'")
_STRPTIME = {
    "yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "hh": "%I", "mm": "%M", "ss": "%S", "SSS": "%f", "a": "%p",
    "XXX": "%z", "ZZZ": "%z", "Z": "%z", "X": "%z", "z": "%Z",
}  # fmt: skip


@dataclass(frozen=True)
class InitialPosition:
    """Where a query without a checkpoint begins; `at_ms` with `timestamp` only."""

    kind: Literal["latest", "trim_horizon", "timestamp"]
    at_ms: int | None = None


@dataclass(frozen=True)
class Options:
    """Valid options. Times are seconds, sizes bytes, `streams` names or ARNs."""

    streams: tuple[str, ...]
    region: str | None = None
    endpoint: str | None = None
    initial: InitialPosition | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    role: str | None = None
    role_external_id: str | None = None
    role_session: str = "pyspark-kinesis"
    records_per_fetch: int = 10_000
    bytes_per_second: float = 2 * 1024**2
    fetch_period: float = 0.25
    fetch_duration: float = 10.0
    buffer_bytes: int = 128 * 1024**2
    shard_interval: float = 10.0
    records_per_trigger: int | None = None
    bytes_per_trigger: int | None = None
    fail_on_data_loss: bool = True

    @property
    def begin_at(self) -> InitialPosition:
        """Where a streaming query begins."""
        return self.initial or InitialPosition("latest")


def stream_name(stream: str) -> str:
    """Return the name of a stream given by its name or ARN."""
    return stream.rpartition("/")[2]


def for_batch(options: Options) -> Options:
    """Return the options of a batch query, which begins at `trim_horizon` if nothing else was said."""
    if options.initial is None:
        return replace(options, initial=InitialPosition("trim_horizon"))
    if options.initial.kind == "latest":
        raise OptionError(
            "initialPosition=latest leaves a batch query nothing to read. Give trim_horizon or an at_timestamp."
        )
    return options


def parse(given: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Options:
    """Return the options. Raises OptionError, which names the option, its value and what is valid."""
    values = {name.lower(): value for name, value in given.items()}
    _refuse_unknown(values)
    read = _Reader(values)
    streams, region = _streams(values)
    per_trigger = read.whole("maxRecordsPerTrigger", None), read.size("maxBytesPerTrigger", None)
    if None not in per_trigger:
        raise OptionError(
            "maxRecordsPerTrigger and maxBytesPerTrigger were both given; a batch has one limit. Drop one."
        )
    keys = values.get("awsaccesskey"), values.get("awssecretkey")
    if (keys[0] is None) != (keys[1] is None):
        missing = "awsSecretKey" if keys[1] is None else "awsAccessKey"
        raise OptionError(f"{missing} is missing: awsAccessKey and awsSecretKey go together.")
    initial = _initial(values["initialposition"]) if "initialposition" in values else None
    default = Options(streams)
    return Options(
        streams=streams,
        region=values.get("region") or region or environment.get("AWS_REGION"),
        endpoint=values.get("endpointurl") or environment.get("AWS_ENDPOINT_URL_KINESIS"),
        initial=initial,
        access_key=keys[0],
        secret_key=keys[1],
        session_token=values.get("awssessiontoken"),
        role=values.get("rolearn"),
        role_external_id=values.get("roleexternalid"),
        role_session=values.get("rolesessionname", default.role_session),
        records_per_fetch=read.whole("maxRecordsPerFetch", default.records_per_fetch, most=10_000) or 1,
        bytes_per_second=read.number("maxFetchRate", default.bytes_per_second / 1024**2) * 1024**2,
        fetch_period=read.seconds("minFetchPeriod", default.fetch_period, least=0.2),
        fetch_duration=read.seconds("maxFetchDuration", default.fetch_duration),
        buffer_bytes=read.size("fetchBufferSize", default.buffer_bytes) or 1,
        shard_interval=read.seconds("shardFetchInterval", default.shard_interval),
        records_per_trigger=per_trigger[0],
        bytes_per_trigger=per_trigger[1],
        fail_on_data_loss=read.truth("failOnDataLoss", default.fail_on_data_loss),
    )


class _Reader:
    """Values by kind."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def whole(self, name: str, default: int | None, most: int | None = None) -> int | None:
        valid = "a whole number from 1" + (f" to {most}" if most else "")
        return self._value(name, default, valid, lambda text: _within(int(text), 1, most))

    def number(self, name: str, default: float) -> float:
        return self._value(name, default, "a number of MB a second, above 0", lambda text: _above_zero(float(text)))

    def seconds(self, name: str, default: float, least: float = 0.0) -> float:
        def convert(text: str) -> float:
            found = _unit(text, _SECONDS)
            return _within(found, least, None) if least else _above_zero(found)

        floor = f" of at least {round(least * 1000)}ms (Kinesis takes 5 reads a second)" if least else ""
        return self._value(name, default, f"a time{floor}, such as 400ms or 10s", convert)

    def size(self, name: str, default: int | None) -> int | None:
        def convert(text: str) -> int:
            return int(_above_zero(_unit(text, _BYTES)))

        return self._value(name, default, "a size, such as 64mb or 2gb", convert)

    def truth(self, name: str, default: bool) -> bool:
        return self._value(name, default, "true or false", lambda text: {"true": True, "false": False}[text.lower()])

    def _value(self, name: str, default: _T, valid: str, convert: Callable[[str], _T]) -> _T:
        text = self._values.get(name.lower())
        if text is None:
            return default
        try:
            return convert(text.strip())
        except (ValueError, KeyError, OverflowError):
            raise OptionError(f"{name}={text}: not valid. It is {valid}.") from None


def _refuse_unknown(values: Mapping[str, str]) -> None:
    known = {name.lower(): name for name in (*_READ, *_WITHOUT_EFFECT)}
    for name in values:
        if name in _ELSEWHERE:
            raise OptionError(f"the option {name} can't be used: {_ELSEWHERE[name]}.")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {known[near[0]]}?" if near else ""
            raise OptionError(f"the option {name} is unknown.{hint} Known are: {', '.join(sorted(known.values()))}.")
    mode = values.get("consumermode", "polling").lower()
    if mode == "efo":
        raise OptionError("consumerMode=efo: enhanced fan-out isn't there. Leave consumerMode out, or say polling.")
    if mode != "polling":
        raise OptionError(f"consumerMode={mode}: not valid. It is polling.")


def _streams(values: Mapping[str, str]) -> tuple[tuple[str, ...], str | None]:
    names, arns = values.get("streamname"), values.get("streamarn")
    if (names is None) == (arns is None):
        found = "neither was" if names is None else "both were"
        raise OptionError(
            f"streamName or streamARN says what to read; {found} given. Give one, a comma between streams."
        )
    option, pattern = ("streamName", _STREAM_NAME) if names is not None else ("streamARN", _STREAM_ARN)
    streams = [stream.strip() for stream in (names or arns or "").split(",")]
    for stream in streams:
        if pattern.fullmatch(stream) is None:
            raise OptionError(f"{option}: {stream!r} is no stream's {'ARN' if arns else 'name'}.")
    if len({stream_name(stream) for stream in streams}) < len(streams):
        raise OptionError(f"{option}={names or arns}: a stream stands there twice.")
    regions = {match[1] for stream in streams if (match := _STREAM_ARN.fullmatch(stream))}
    if len(regions) > 1:
        raise OptionError(
            f"streamARN: the streams are in several regions ({', '.join(sorted(regions))}); one is possible."
        )
    return tuple(streams), next(iter(regions), None)


def _initial(text: str) -> InitialPosition:
    word = text.strip().lower()
    if word == "latest":
        return InitialPosition("latest")
    if word in ("trim_horizon", "earliest"):
        return InitialPosition("trim_horizon")
    valid = 'latest, trim_horizon, earliest, or {"at_timestamp": "2026-01-31T12:00:00Z"}'
    try:
        value = json.loads(text)
        if not isinstance(value, dict) or not set(value) <= {"at_timestamp", "format"} or "at_timestamp" not in value:
            raise ValueError
        at = _moment(str(value["at_timestamp"]), value.get("format"))
    except ValueError as error:
        reason = f" ({error})" if str(error) else ""
        raise OptionError(f"initialPosition={text}: not valid{reason}. It is {valid}.") from None
    if at > datetime.now(UTC):
        raise OptionError(f"initialPosition={text}: that time hasn't come yet; Kinesis takes past times only.")
    return InitialPosition("timestamp", round(at.timestamp() * 1000))


def _moment(text: str, pattern: str | None) -> datetime:
    """Return a time; without a zone it is UTC. `pattern` is Java's, of the letters that a date and a time need."""
    if pattern is None:
        found = datetime.fromisoformat(text)
    else:
        python = _JAVA_PATTERN.sub(lambda match: _STRPTIME.get(match[0], match[0].strip("'")), pattern)
        found = datetime.strptime(text, python)  # noqa: DTZ007  # the zone is seen to below
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _unit(text: str, units: Mapping[str, float]) -> float:
    match = re.fullmatch(r"([0-9.]+)\s*([a-z]*)", text.lower())
    if match is None:
        raise ValueError
    return float(match[1]) * units[match[2]]


def _above_zero(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def _within(value: _Number, least: float, most: float | None) -> _Number:
    if value < least or (most is not None and value > most):
        raise ValueError
    return value
