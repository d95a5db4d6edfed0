"""The sink's configuration: a Java properties file with the keys of Confluent's S3 sink, checked completely at start.

Values may hold `${env:NAME}`, as with Kafka's EnvVarConfigProvider. Brokers and credentials come from the settings,
not from here. A key or a value that the sink doesn't support is an error that lists what it does support.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import javaproperties

from pinline import events, objects
from pinline.errors import SettingsError
from sink.partition import Rules
from sink.rotation import Limits

_PLACEHOLDER = re.compile(r"\$\{env:([^}]*)\}")
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_MIB = 1024 * 1024


@dataclass(frozen=True)
class SinkConfig:
    """What the properties say."""

    name: str
    """The consumer group is `connect-<name>`, as in Connect."""
    topics: tuple[str, ...]
    topics_regex: str | None
    """Matches whole names."""
    bucket: str
    region: str
    store_url: str | None
    """None: where AWS_ENDPOINT_URL_S3 points."""
    dead_letter_topic: str
    rules: Rules

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"connect-{self.name}"

    def takes(self, topic: str) -> bool:
        """Tell whether the sink reads `topic`."""
        return topic in self.topics or bool(self.topics_regex and re.fullmatch(self.topics_regex, topic))


@dataclass(frozen=True)
class _Key:
    """One key: what it may be, in words and as a check, and its default (None: it has to be given)."""

    valid: str
    accepts: Callable[[str], bool]
    default: str | None


def _one_of(*values: str, default: str | None) -> _Key:
    return _Key(" or ".join(values), values.__contains__, default)


def _number(low: int, default: str | None) -> _Key:
    return _Key(f"a whole number from {low}", lambda v: bool(re.fullmatch(r"-?\d{1,18}", v)) and int(v) >= low, default)


def _text(pattern: str, valid: str, default: str | None) -> _Key:
    return _Key(valid, lambda v: bool(re.fullmatch(pattern, v)), default)


_KEYS: dict[str, _Key] = {
    "name": _text(r"[\w.-]{1,200}", "letters, digits, `.`, `_`, `-`", ""),
    "connector.class": _one_of("io.confluent.connect.s3.S3SinkConnector", default=""),
    # one process reads with one consumer; more processes share the partitions as tasks do
    "tasks.max": _number(1, "1"),
    "topics": _text(r"[\w.-]+(\s*,\s*[\w.-]+)*", "topic names parted by commas", ""),
    "topics.regex": _text(r".+", "a regular expression for whole topic names", ""),
    "topics.dir": _text(r"[^/\s]+(/[^/\s]+)*", "a folder without `/` at its ends", objects.TOPICS_DIR),
    "s3.bucket.name": _text(_BUCKET, "a bucket name", None),
    "s3.region": _text(r"[a-z0-9-]+", "a region such as us-east-1", ""),
    "store.url": _text(r"https?://[^/]+/?", "an address such as http://127.0.0.1:4566", ""),
    # objects are PUT in one piece, so a part size changes nothing
    "s3.part.size": _number(5 * _MIB, str(25 * _MIB)),
    "s3.compression.type": _one_of("none", "gzip", default="none"),
    "storage.class": _one_of("io.confluent.connect.s3.storage.S3Storage", default=""),
    "format.class": _one_of("io.confluent.connect.s3.format.json.JsonFormat", default=""),
    "partitioner.class": _one_of("io.confluent.connect.storage.partitioner.DefaultPartitioner", default=""),
    "schema.compatibility": _one_of("NONE", default=""),
    "key.converter": _one_of("org.apache.kafka.connect.storage.StringConverter", default=""),
    "value.converter": _one_of("org.apache.kafka.connect.json.JsonConverter", default=""),
    "value.converter.schemas.enable": _one_of("false", default=""),
    "flush.size": _number(1, None),
    "rotate.bytes": _number(1, str(32 * _MIB)),
    "rotate.interval.ms": _number(-1, "-1"),
    "rotate.schedule.interval.ms": _number(-1, "-1"),
    "errors.tolerance": _one_of("all", "none", default="all"),
    "errors.deadletterqueue.topic.name": _text(r"[\w.-]{1,249}", "a topic name", ""),
    "behavior.on.null.values": _one_of("ignore", "fail", default="ignore"),
}


def parse(text: str, values: Mapping[str, str], user_id: str) -> SinkConfig:
    """Read a configuration.

    `values` resolves `${env:NAME}`; `user_id` names the dead-letter topic unless the configuration does.
    Raises SettingsError that names every wrong key, its value and what is valid.
    """
    try:
        raw = {key: value.strip() for key, value in javaproperties.loads(text).items()}
    except javaproperties.InvalidUEscapeError as error:
        raise SettingsError(f"the sink's configuration is no properties file: {error}") from None
    wrong: list[str] = []
    given = {key: _resolve(key, value, values, wrong) for key, value in raw.items()}
    if unknown := sorted(given.keys() - _KEYS.keys()):
        wrong.append(f"{', '.join(unknown)}: not supported. Supported: {', '.join(_KEYS)}")
    checked = {key: _value(key, rule, given, wrong) for key, rule in _KEYS.items()}
    _check_topics(checked, wrong)
    if not wrong:
        return _config(checked, user_id)
    raise SettingsError("\n".join(["the sink's configuration is wrong:", *(f"  {line}" for line in wrong)]))


def _resolve(key: str, value: str, values: Mapping[str, str], wrong: list[str]) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] in values:
            return values[match[1]]
        wrong.append(f"{key}={value}: {match[1]} is neither a setting nor in the environment")
        return match[0]

    return _PLACEHOLDER.sub(replace, value)


def _value(key: str, rule: _Key, given: Mapping[str, str], wrong: list[str]) -> str:
    value = given.get(key)
    if value is None:
        if rule.default is None:
            wrong.append(f"{key} is not set. Valid: {rule.valid}")
        return rule.default or ""
    if not rule.accepts(value) and "${env:" not in value:
        wrong.append(f"{key}={value}: valid is {rule.valid}")
    return value


def _check_topics(checked: Mapping[str, str], wrong: list[str]) -> None:
    regex = checked["topics.regex"]
    if bool(regex) == bool(checked["topics"]):
        wrong.append("one of topics and topics.regex has to be set, and not both")
    try:
        re.compile(regex)
    except re.error as error:
        wrong.append(f"topics.regex={regex}: {error}")


def _config(checked: Mapping[str, str], user_id: str) -> SinkConfig:
    schedule, interval = int(checked["rotate.schedule.interval.ms"]), int(checked["rotate.interval.ms"])
    limits = Limits(
        records=int(checked["flush.size"]),
        bytes=int(checked["rotate.bytes"]),
        record_time_ms=interval if interval > 0 else None,
        wall_clock_s=schedule / 1000 if schedule > 0 else None,
    )
    config = SinkConfig(
        name=checked["name"] or f"{user_id}-s3-sink",
        topics=tuple(part.strip() for part in checked["topics"].split(",") if part.strip()),
        topics_regex=checked["topics.regex"] or None,
        bucket=checked["s3.bucket.name"],
        region=checked["s3.region"],
        store_url=checked["store.url"].rstrip("/") or None,
        dead_letter_topic=checked["errors.deadletterqueue.topic.name"] or events.dead_letter_topic(user_id),
        rules=Rules(
            limits=limits,
            topics_dir=checked["topics.dir"],
            compress=checked["s3.compression.type"] == "gzip",
            tolerate_bad_records=checked["errors.tolerance"] == "all",
            fail_on_null=checked["behavior.on.null.values"] == "fail",
        ),
    )
    if config.takes(config.dead_letter_topic):
        raise SettingsError(
            f"the sink's configuration is wrong: {'topics.regex' if config.topics_regex else 'topics'}="
            f"{config.topics_regex or ','.join(config.topics)} takes the dead-letter topic {config.dead_letter_topic} "
            "too, so that dead letters would be read as events. Narrow it, or set errors.deadletterqueue.topic.name."
        )
    return config
