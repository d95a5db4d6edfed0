"""The service's settings: arguments of the command line, each with an environment variable; read once, here.

Kafka's connection takes the variables that other parts of a stack use too (KAFKA_BOOTSTRAP_SERVERS, ...); anything
else of librdkafka goes through `--kafka-property name=value`.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kinesis.errors import StartError

SHARD_LIMIT = 500


@dataclass(frozen=True)
class Settings:
    """All settings. `kafka` holds librdkafka's connection properties."""

    kafka: dict[str, Any]
    host: str = "127.0.0.1"
    port: int = 4567
    limits: bool = True
    """Throughput of shards as in the cloud."""
    state_delay_s: float = 0.3
    """How long a stream stays at least in CREATING, UPDATING and DELETING."""
    close_grace_s: float = 0.4
    """How long a closing shard waits for the other instances. The same for all instances of a cluster."""
    shard_limit: int = SHARD_LIMIT
    retention_hours: int = 24
    account: str = "000000000000"
    region: str = "us-east-1"
    topic_prefix: str = "kinesis."
    metadata_topic: str = "kinesis-metadata"
    replication_factor: int = -1
    linger_ms: float = 0
    access_keys: dict[str, str] = field(default_factory=dict)
    """Access key ids and secrets; none: any caller is let in."""
    log_format: str = "json"

    @property
    def servers(self) -> str:
        """Return Kafka's addresses."""
        return str(self.kafka["bootstrap.servers"])


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings. Raises StartError, or SystemExit from argparse, on a wrong one."""
    found = _parser(environment).parse_args(arguments)
    kafka: dict[str, Any] = {"bootstrap.servers": found.bootstrap_servers}
    for name, variable in _KAFKA.items():
        if value := environment.get(variable):
            kafka[name] = value
    for text in found.kafka_property:
        name, separator, value = text.partition("=")
        if not separator:
            raise StartError(f"--kafka-property {text}: expected name=value, such as ssl.ca.location=/etc/ca.pem")
        kafka[name] = value
    return Settings(
        kafka=kafka,
        host=found.host,
        port=found.port,
        limits=found.limits,
        state_delay_s=found.state_delay,
        close_grace_s=found.close_grace,
        shard_limit=found.shard_limit,
        retention_hours=found.retention_hours,
        account=_account(found.account_id),
        region=found.region,
        topic_prefix=found.topic_prefix,
        metadata_topic=found.metadata_topic,
        replication_factor=found.replication_factor,
        linger_ms=found.linger_ms,
        access_keys=_keys(found.access_keys),
        log_format=found.log_format,
    )


_KAFKA = {
    "security.protocol": "KAFKA_SECURITY_PROTOCOL",
    "sasl.mechanism": "KAFKA_SASL_MECHANISM",
    "sasl.username": "KAFKA_SASL_USERNAME",
    "sasl.password": "KAFKA_SASL_PASSWORD",
    "ssl.ca.location": "KAFKA_SSL_CA",
}


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kinesis",
        description="The Kinesis Data Streams API on top of Kafka.",
        epilog="Kafka's login: KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, "
        "KAFKA_SASL_PASSWORD, KAFKA_SSL_CA.",
    )

    def add(name: str, default: Any, help_text: str, kind: Any = str, variable: str | None = None) -> None:
        variable = variable or "KINESIS_" + name.upper().replace("-", "_")
        value = environment.get(variable) or default
        parser.add_argument(f"--{name}", type=kind, default=value, help=f"{help_text} [{variable}, now: {value}]")

    add("bootstrap-servers", "127.0.0.1:9092", "Kafka's addresses", variable="KAFKA_BOOTSTRAP_SERVERS")
    add("host", "127.0.0.1", "address to listen on")
    add("port", 4567, "port to listen on", _port)
    parser.add_argument(
        "--no-limits",
        dest="limits",
        action="store_false",
        default=environment.get("KINESIS_LIMITS", "1").lower() not in ("0", "false", "no", "off"),
        help="no throughput limits of shards [KINESIS_LIMITS=0]",
    )
    add("state-delay", 0.3, "seconds that CREATING, UPDATING and DELETING last at least", _seconds)
    add("close-grace", 0.4, "seconds that a closing shard waits for other instances; the same for all", _seconds)
    add("shard-limit", SHARD_LIMIT, "open shards that the account may have", int)
    add("retention-hours", 24, "retention of a new stream", int)
    add("account-id", "000000000000", "the account in names and texts")
    add("region", "us-east-1", "the region in names", variable="AWS_REGION")
    add("topic-prefix", "kinesis.", "a stream's topic is this and its name")
    add("metadata-topic", "kinesis-metadata", "the compacted topic that says which streams there are")
    add("replication-factor", -1, "of new topics; -1 lets the broker choose", int)
    add("linger-ms", 0, "how long the producer waits for more records: throughput against latency", float)
    add("access-keys", "", "ID:SECRET,...: check signatures against these; none: any caller is let in")
    add("log-format", "json", "json or console")
    parser.add_argument(
        "--kafka-property", action="append", default=[], metavar="NAME=VALUE", help="a property of librdkafka; repeat"
    )
    return parser


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise ValueError(text)
    return value


def _account(text: str) -> str:
    if not re.fullmatch(r"\d{12}", text):
        raise StartError(f"--account-id {text}: expected 12 digits")
    return text


def _keys(text: str) -> dict[str, str]:
    keys = {}
    for part in filter(None, text.split(",")):
        name, separator, secret = part.partition(":")
        if not (name and separator and secret):
            raise StartError("--access-keys: expected ID:SECRET,ID:SECRET")
        keys[name] = secret
    return keys
