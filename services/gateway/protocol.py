"""The words of Kafka REST v2: media types, content negotiation, and the shape of an error.

Sources: docs.confluent.io/platform/current/kafka-rest/api.html and confluentinc/kafka-rest (`Versions.java`,
`Errors.java`, `KafkaExceptionMapper`).
"""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Literal

import orjson
from confluent_kafka import KafkaError
from starlette.responses import Response

V2 = "application/vnd.kafka.v2+json"
JSON_RECORDS = "application/vnd.kafka.json.v2+json"
BINARY_RECORDS = "application/vnd.kafka.binary.v2+json"
Format = Literal["json", "binary"]
_FORMATS: dict[str, Format] = {JSON_RECORDS: "json", BINARY_RECORDS: "binary"}
_SCHEMA_FORMATS = tuple(f"application/vnd.kafka.{name}.v2+json" for name in ("avro", "protobuf", "jsonschema"))
# what each Accept type that can be satisfied is answered with, the first that we prefer
_ANSWERS = {
    V2: V2,
    "application/vnd.kafka+json": "application/vnd.kafka+json",
    "application/json": "application/json",
    "application/*": V2,
    "*/*": V2,
}

_AUTHENTICATION = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}  # noqa: SLF001  # its public names
_AUTHORIZATION = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
_BAD_REQUEST = {
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.TOPIC_ALREADY_EXISTS,
    KafkaError.POLICY_VIOLATION,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_REQUEST,
}
_UNREACHABLE = {
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError.BROKER_NOT_AVAILABLE,
}
_RETRIABLE = _UNREACHABLE | {
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
    KafkaError._QUEUE_FULL,  # noqa: SLF001
    KafkaError._PURGE_QUEUE,  # noqa: SLF001
    KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
    KafkaError._FATAL,  # noqa: SLF001
    KafkaError._DESTROY,  # noqa: SLF001
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.KAFKA_STORAGE_ERROR,
}
UNKNOWN_TOPIC = {KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART}  # noqa: SLF001


class ProxyError(Exception):
    """An answer of the REST proxy that is not a success: `{"error_code": code, "message": message}`."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def http_error(status: int) -> ProxyError:
    """Return the framework's own error, whose code is the status: `HTTP 404 Not Found`."""
    return ProxyError(status, status, f"HTTP {status} {HTTPStatus(status).phrase}")


def bad_request(message: str) -> ProxyError:
    """Return the error for a body that can't be read."""
    return ProxyError(400, 400, message)


def kafka_error(error: KafkaError) -> ProxyError:
    """Return the error for a Kafka request (not a record) that failed."""
    code, text = error.code(), error.str()
    if code in _AUTHENTICATION:
        return ProxyError(401, 40101, text)
    if code in _AUTHORIZATION:
        return ProxyError(403, 40301, text)
    if code in UNKNOWN_TOPIC:
        return unknown_topic_partition()
    if code in _BAD_REQUEST:
        return ProxyError(400, 40002, text)
    if code == KafkaError.LEADER_NOT_AVAILABLE:
        return ProxyError(404, 40404, text)
    if code == KafkaError.THROTTLING_QUOTA_EXCEEDED:
        return ProxyError(429, 42901, text)
    if code in _UNREACHABLE:
        return ProxyError(503, 50302, f"Kafka does not answer: {text}")
    return ProxyError(500, 50003 if code in _RETRIABLE else 50002, text)


def unknown_topic_partition() -> ProxyError:
    """Return the answer of the metadata routes about a topic that isn't there."""
    return ProxyError(404, 40403, "This server does not host this topic-partition.")


def record_error_code(error: KafkaError) -> int:
    """Return the error code of one record: 50003 may be sent again, 50002 may not, 40101 and 40301 are about access."""
    code = error.code()
    if code in _AUTHENTICATION:
        return 40101
    if code in _AUTHORIZATION:
        return 40301
    return 50003 if code in _RETRIABLE else 50002


def record_format(content_type: str | None) -> Format:
    """Return the record format that a produce request's Content-Type names; ProxyError 415 otherwise."""
    found = _FORMATS.get(content_type or "")
    if found is not None:
        return found
    bare = (content_type or "").partition(";")[0].strip().lower()
    if bare in _FORMATS:
        return _FORMATS[bare]
    if bare in _SCHEMA_FORMATS:
        message = f"{bare} needs a schema registry, which Pinline has not. Supported: {', '.join(_FORMATS)}."
        raise ProxyError(415, 415, message)
    raise http_error(415)


@lru_cache(maxsize=1024)
def negotiate(accept: str | None) -> str:
    """Return the Content-Type to answer with, by quality and then by our order; ProxyError 406 if none is accepted."""
    if not accept or accept == "*/*":
        return V2
    best, chosen = 0.0, ""
    refused = set()
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if quality <= 0:
            refused.add(name)
        elif name in _ANSWERS and quality > best:
            best, chosen = quality, _ANSWERS[name]
    if not chosen or chosen in refused:
        raise http_error(406)
    return chosen


def answer(content: object, media_type: str = V2, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(orjson.dumps(content), status, media_type=media_type)


def error_answer(error: ProxyError, accept: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error in Confluent's form, in a type that the client accepts, else in the protocol's own."""
    try:
        media_type = negotiate(accept)
    except ProxyError:
        media_type = V2
    content: dict[str, Any] = {"error_code": error.code, "message": error.message}
    return Response(orjson.dumps(content), error.status, headers=headers, media_type=media_type)
