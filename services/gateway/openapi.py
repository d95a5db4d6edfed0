"""The routes as the OpenAPI document describes them; the answers' schemas. No model is built from them at run time."""

from typing import Any

from gateway.protocol import BINARY_RECORDS, JSON_RECORDS, V2

_JsonSchema = dict[str, Any]

_ERROR: _JsonSchema = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "integer"}, "message": {"type": "string"}},
}
# API Gateway's own errors, and those of the proxy behind it
_ANY_ERROR: _JsonSchema = {
    "anyOf": [_ERROR, {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}]
}


def _nullable(kind: str) -> _JsonSchema:
    return {"anyOf": [{"type": kind}, {"type": "null"}]}


def _object(**properties: _JsonSchema) -> _JsonSchema:
    return {"type": "object", "required": list(properties), "properties": properties}


_INTEGER: _JsonSchema = {"type": "integer"}
NAMES: _JsonSchema = {"type": "array", "items": {"type": "string"}}
BROKERS = _object(brokers={"type": "array", "items": _INTEGER})
OFFSETS = _object(beginning_offset=_INTEGER, end_offset=_INTEGER)
_REPLICA = _object(broker=_INTEGER, leader={"type": "boolean"}, in_sync={"type": "boolean"})
PARTITION = _object(partition=_INTEGER, leader=_INTEGER, replicas={"type": "array", "items": _REPLICA})
PARTITIONS: _JsonSchema = {"type": "array", "items": PARTITION}
TOPIC = _object(
    name={"type": "string"},
    configs={"type": "object", "additionalProperties": _nullable("string")},
    partitions=PARTITIONS,
)
_OUTCOME = _object(
    partition=_nullable("integer"),
    offset=_nullable("integer"),
    error_code=_nullable("integer"),
    error=_nullable("string"),
)
_PRODUCED = _object(
    offsets={"type": "array", "items": _OUTCOME},
    key_schema_id=_nullable("integer"),
    value_schema_id=_nullable("integer"),
)


def _request(part: _JsonSchema) -> _JsonSchema:
    record = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"key": part, "value": part, "partition": {"type": "integer", "minimum": 0}},
    }
    records = {"type": "array", "minItems": 1, "items": record}
    return {"type": "object", "required": ["records"], "properties": {"records": records}}


def _answers(success: _JsonSchema, *, errors: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"description": "Success", "content": {V2: {"schema": success}}},
        **{status: {"description": _MEANING[status], "content": {V2: {"schema": _ANY_ERROR}}} for status in errors},
    }


_MEANING = {
    400: "The body, or a name in the path, can't be read",
    401: "Kafka refuses the gateway's login",
    403: "Kafka refuses access, or there is no such stage",
    404: "No such topic, partition or path",
    406: "Accept names nothing that the proxy answers with",
    413: "The body is larger than 10 MiB",
    415: "Content-Type is not one of the record formats",
    422: "Nothing to produce",
    429: "Too much is in work: send it again later",
    503: "Kafka does not answer",
}


def produce(summary: str) -> dict[str, Any]:
    """Return the description of a produce route, as keyword arguments of a route."""
    examples = {"value": {"records": [{"key": "1", "value": {"index": 1, "category": "art"}}]}}
    body = {
        JSON_RECORDS: {"schema": _request({}), "examples": {"one record": examples}},
        BINARY_RECORDS: {"schema": _request({"type": "string", "contentEncoding": "base64"})},
    }
    return {
        "summary": summary,
        "tags": ["produce"],
        "openapi_extra": {"requestBody": {"required": True, "content": body}},
        **_described(_answers(_PRODUCED, errors=(400, 401, 403, 404, 406, 413, 415, 422, 429, 503))),
    }


def metadata(summary: str, success: _JsonSchema) -> dict[str, Any]:
    """Return the description of a metadata route that answers `success`, as keyword arguments of a route."""
    return {
        "summary": summary,
        "tags": ["metadata"],
        **_described(_answers(success, errors=(400, 401, 403, 404, 406, 503))),
    }


_JSON = "application/json"
_TEXT: _JsonSchema = {"type": "string"}
_STREAMS_MEANING = {
    200: "Kinesis's answer. With GATEWAY_KINESIS_ERRORS=faithful also its refusals, told by `__type`",
    400: "Kinesis refuses it (`__type` says why), or the body is not JSON",
    403: "No such stage",
    413: "The body is larger than 10 MB",
    429: "Too much is in work: send it again later",
    500: "Kinesis failed",
    504: "Kinesis does not answer",
}


def _body(schema: _JsonSchema) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


CREATE = _body({"type": "object", "properties": {"ShardCount": {"type": "integer", "minimum": 1}}})
RECORD = _body(
    {
        "type": "object",
        "required": ["Data", "PartitionKey"],
        "properties": {"StreamName": _TEXT, "Data": {}, "PartitionKey": _TEXT},
    }
)
_STREAM_RECORD = _object(data=_TEXT, **{"partition-key": _TEXT})
RECORDS = _body(_object(records={"type": "array", "minItems": 1, "maxItems": 500, "items": _STREAM_RECORD}))
SHARD: dict[str, Any] = {"parameters": [{"name": "shard-id", "in": "query", "required": True, "schema": _TEXT}]}
ITERATOR: dict[str, Any] = {
    "parameters": [{"name": "Shard-Iterator", "in": "header", "required": True, "schema": _TEXT}]
}


def streams(summary: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the description of a Kinesis route, `more` of its operation, as keyword arguments of a route."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": meaning, "content": {_JSON: {"schema": {}}}}
        for status, meaning in _STREAMS_MEANING.items()
    }
    return {"summary": summary, "tags": ["streams"], "openapi_extra": more, **_described(responses)}


def _described(responses: dict[int | str, dict[str, Any]]) -> dict[str, Any]:
    return {"responses": responses, "response_model": None}
