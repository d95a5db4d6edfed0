"""The application: from an HTTP request to an operation's answer, or AWS's error.

The API is `POST` on any path, as in the cloud. `GET /healthz` (the process lives), `GET /readyz` (Kafka answers) and
`GET /metrics` (Prometheus) can't clash with it.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kinesis import model, wire
from kinesis.errors import KinesisError, internal, serialization
from kinesis.intake import Intake, TooLongError, TooSlowError
from kinesis.parts import Parts
from kinesis.signature import SignatureCheck

log = structlog.get_logger("kinesis")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Operation = Callable[[dict[str, Any], str], Awaitable[bytes]]

_PREFIX = "Kinesis_20131202."
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,Date"),
)


class App:
    """An ASGI application."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._metrics = parts.metrics
        self._intake = Intake(parts.metrics.body_bytes)
        keys = parts.settings.access_keys
        self._signatures = SignatureCheck(keys) if keys else None
        self._operations = _operations(parts)
        self._unsupported = frozenset(model.table()["unsupported"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        method: str = scope["method"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if method == "POST":
            await self._answer(scope, headers, receive, send)
        elif method == "GET" and scope["path"] in ("/healthz", "/readyz", "/metrics"):
            await self._operator(scope["path"], send)
        elif method == "OPTIONS" and "origin" in headers:
            await _send(send, 200, b"", _preflight(headers))
        else:
            body = (
                b"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized"
                b"</Message>\n</AccessDeniedException>\n"
            )
            await _send(send, 403, body, [])

    async def _answer(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        reply_type = wire.CBOR if content_type == wire.CBOR else wire.JSON
        request_id = str(uuid.uuid4()).encode()
        answer_headers = [(b"x-amzn-requestid", request_id), (b"content-type", reply_type.encode())]
        if "origin" in headers:
            answer_headers += _CORS
        target = headers.get("x-amz-target", "")
        name = target.removeprefix(_PREFIX)
        begun = time.perf_counter()
        error_name = ""
        try:
            async with self._intake.body(headers, receive) as body:
                begun = time.perf_counter()
                if self._signatures is not None:
                    self._signatures.require(
                        scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, body
                    )
                answer = await self._run(name if target != name else "", content_type, body)
            status = 200
        except KinesisError as error:
            error_name, status = error.name, error.status
            answer = _error_body(error, reply_type)
            answer_headers.append((b"x-amzn-errortype", error.name.encode()))
        except TooLongError:
            error_name, status = "RequestEntityTooLarge", 413
            answer = _error_body(KinesisError("RequestEntityTooLargeException", "Request is too large."), reply_type)
        except TooSlowError:
            error_name, status = "RequestTimeout", 408
            answer = _error_body(KinesisError("RequestTimeoutException", "The body did not come in time."), reply_type)
        except Exception:  # whatever a fault of this service raises is its answer
            log.exception("request_failed", operation=name)
            error_name, status = "InternalFailure", 500
            answer = _error_body(internal("Internal failure."), reply_type)
        await _send(send, status, answer, answer_headers)
        label = name if name in self._operations else "unknown"
        self._metrics.requests.labels(label, error_name).inc()
        self._metrics.latency.labels(label).observe(time.perf_counter() - begun)

    async def _run(self, name: str, content_type: str, body: bytes) -> bytes:
        operation = self._operations.get(name)
        if content_type not in (wire.JSON, wire.CBOR):
            raise KinesisError("UnknownOperationException", status=404)
        if operation is None:
            raise _unknown(name, supported_by_aws=name in self._unsupported)
        if not body:
            raise serialization()
        members = model.operations()[name].parse(wire.decode(body, content_type))
        return await operation(members, content_type)

    async def _operator(self, path: str, send: Send) -> None:
        if path == "/metrics":
            body = generate_latest(self._metrics.registry)
            await _send(send, 200, body, [(b"content-type", CONTENT_TYPE_LATEST.encode())])
            return
        status, answer = 200, {"status": "ok"}
        if path == "/readyz":
            try:
                async with asyncio.timeout(2):
                    await self._parts.catalog.current()
                answer = {"status": "ready", "streams": str(len(self._parts.catalog.all()))}
            except (KinesisError, TimeoutError) as error:
                status, answer = 503, {"status": "unready", "error": str(error) or "Kafka does not answer"}
        await _send(send, status, wire.encode(answer, wire.JSON), [(b"content-type", b"application/json")])


def _operations(parts: Parts) -> dict[str, Operation]:
    control, tags, puts, gets = parts.control, parts.tags, parts.puts, parts.gets

    def plain(run: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> Operation:
        async def operation(members: dict[str, Any], content_type: str) -> bytes:
            answer = await run(members)
            return wire.encode(answer, content_type) if answer else b""

        return operation

    def fast(run: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> Operation:
        async def operation(members: dict[str, Any], content_type: str) -> bytes:
            return wire.encode_plain(await run(members), content_type)

        return operation

    return {
        "CreateStream": plain(control.create_stream),
        "DeleteStream": plain(control.delete_stream),
        "ListStreams": plain(control.list_streams),
        "DescribeStream": plain(control.describe_stream),
        "DescribeStreamSummary": plain(control.describe_stream_summary),
        "DescribeLimits": plain(control.describe_limits),
        "ListShards": plain(control.list_shards),
        "SplitShard": plain(control.split_shard),
        "MergeShards": plain(control.merge_shards),
        "UpdateShardCount": plain(control.update_shard_count),
        "UpdateStreamMode": plain(control.update_stream_mode),
        "IncreaseStreamRetentionPeriod": plain(control.increase_retention),
        "DecreaseStreamRetentionPeriod": plain(control.decrease_retention),
        "AddTagsToStream": plain(tags.add_tags),
        "RemoveTagsFromStream": plain(tags.remove_tags),
        "ListTagsForStream": plain(tags.list_tags),
        "TagResource": plain(tags.add_tags),
        "UntagResource": plain(tags.remove_tags),
        "ListTagsForResource": plain(tags.list_resource_tags),
        "PutRecord": fast(puts.put_record),
        "PutRecords": fast(puts.put_records),
        "GetShardIterator": fast(gets.get_shard_iterator),
        "GetRecords": gets.get_records,
    }


def _unknown(name: str, *, supported_by_aws: bool) -> KinesisError:
    text = f"{name} is not supported by this service; see its README." if supported_by_aws else None
    return KinesisError("UnknownOperationException", text)


def _error_body(error: KinesisError, content_type: str) -> bytes:
    body = {"__type": error.name}
    if error.message is not None:
        # AWS writes this one error's text with a capital
        body["Message" if error.name == "SerializationException" else "message"] = error.message
    return wire.encode_plain(_clean(body), content_type)


def _clean(body: dict[str, str]) -> dict[str, str]:
    """Return the body with texts that can be encoded: a client's text may hold half a surrogate pair."""
    return {key: text.encode("utf-8", "replace").decode() for key, text in body.items()}


def _preflight(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    found = [(b"access-control-allow-origin", b"*"), (b"access-control-max-age", b"172800")]
    for wanted, allowed in (
        ("access-control-request-headers", b"access-control-allow-headers"),
        ("access-control-request-method", b"access-control-allow-methods"),
    ):
        if wanted in headers:
            found.append((allowed, headers[wanted].encode("latin-1")))
    return found


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
