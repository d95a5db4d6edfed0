"""Kinesis behind API Gateway, as the course's API has it: each route is an action, its body made by a template.

A PUT that is answered with a sequence number was stored by Kinesis. Errors come with Kinesis's own body
`{"__type": ..., "message": ...}`: `useful` with its status, `faithful` with 200 as the tutorial's API, which maps every
status but a DELETE's to 200.
"""

from typing import Literal

import orjson
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway import apigateway, openapi, templates
from gateway.intake import Intake
from gateway.kinesis import IntegrationError, Kinesis, Reply
from gateway.metrics import Metrics
from gateway.templates import NotJsonError, RefusedError
from pinline.errors import SettingsError

Errors = Literal["useful", "faithful"]
_JSON = "application/json"


def add_streams(app: FastAPI, prefix: str, kinesis: Kinesis, intake: Intake, metrics: Metrics, errors: Errors) -> None:
    """Add the routes under `prefix`, and the answers to what they raise."""
    app.include_router(_router(kinesis, intake, metrics, errors), prefix=prefix)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)  # noqa: S101  # Starlette's handlers are typed for any exception
        reply = Reply(400, orjson.dumps({"__type": error.kind, "message": error.message}))
        return _failed(reply, errors, request.method)

    async def not_json(_request: Request, error: Exception) -> Response:
        message = f"Could not parse request body into json: {error}"
        return apigateway.error_answer((400, message, "BadRequestException"))

    async def no_answer(_request: Request, error: Exception) -> Response:
        assert isinstance(error, IntegrationError)  # noqa: S101
        return apigateway.error_answer(apigateway.TIMED_OUT if error.timed_out else apigateway.UNREACHABLE)

    async def misconfigured(_request: Request, error: Exception) -> Response:
        return apigateway.error_answer((500, str(error), "InternalServerErrorException"))

    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(NotJsonError, not_json)
    app.add_exception_handler(IntegrationError, no_answer)
    app.add_exception_handler(SettingsError, misconfigured)


def _router(kinesis: Kinesis, intake: Intake, metrics: Metrics, errors: Errors) -> APIRouter:
    router = APIRouter(redirect_slashes=False)

    async def act(request: Request, action: str, body: bytes, *, answers: bool = True) -> Response:
        """Ask Kinesis; `answers`: a success is answered with Kinesis's body, else with none."""
        reply = await kinesis.call(action, body)
        if reply.status != 200:
            return _failed(reply, errors, request.method)
        return Response(reply.body if answers else b"", media_type=_JSON)

    @router.get("/streams", **openapi.streams("Names of the streams"))
    async def list_streams(request: Request) -> Response:
        return await act(request, "ListStreams", b"{}")

    @router.get("/streams/{stream}", **openapi.streams("A stream, its state and its shards"))
    async def describe_stream(request: Request, stream: str) -> Response:
        return await act(request, "DescribeStream", templates.of_stream(stream))

    @router.post("/streams/{stream}", **openapi.streams("Create a stream, of 5 shards unless told", openapi.CREATE))
    async def create_stream(request: Request, stream: str) -> Response:
        async with intake.body(request) as body:
            return await act(request, "CreateStream", templates.create_stream(stream, body), answers=False)

    @router.delete("/streams/{stream}", **openapi.streams("Delete a stream"))
    async def delete_stream(request: Request, stream: str) -> Response:
        return await act(request, "DeleteStream", templates.of_stream(stream), answers=False)

    @router.put("/streams/{stream}/record", **openapi.streams("Put a record", openapi.RECORD))
    async def put_record(request: Request, stream: str) -> Response:
        async with intake.body(request) as body:
            reply = await kinesis.call("PutRecord", templates.put_record(stream, body))
        return _counted(metrics, stream, reply, errors)

    @router.put("/streams/{stream}/records", **openapi.streams("Put records", openapi.RECORDS))
    async def put_records(request: Request, stream: str) -> Response:
        async with intake.body(request) as body:
            reply = await kinesis.call("PutRecords", templates.put_records(stream, body))
        return _counted(metrics, stream, reply, errors)

    @router.get("/streams/{stream}/sharditerator", **openapi.streams("An iterator at a shard's begin", openapi.SHARD))
    async def shard_iterator(request: Request, stream: str) -> Response:
        shard = request.query_params.get("shard-id", "")
        return await act(request, "GetShardIterator", templates.get_shard_iterator(stream, shard))

    @router.get("/streams/{stream}/records", **openapi.streams("Records at an iterator", openapi.ITERATOR))
    async def get_records(request: Request, stream: str) -> Response:  # noqa: ARG001  # the template has no use for it
        return await act(request, "GetRecords", templates.get_records(request.headers.get("shard-iterator", "")))

    return router


def _failed(reply: Reply, errors: Errors, method: str) -> Response:
    """Return the answer to a refusal of Kinesis's."""
    status = reply.status
    if errors == "faithful":
        # a DELETE's is the one that the tutorial maps
        status = 200 if method != "DELETE" else 500 if status >= 500 else 400
    return Response(reply.body, status, media_type=_JSON)


def _counted(metrics: Metrics, stream: str, reply: Reply, errors: Errors) -> Response:
    """Count the records of a PUT by what became of them, and answer it."""
    if reply.status != 200:
        metrics.stream_requests_failed.labels(stream, reply.status).inc()
        return _failed(reply, errors, "PUT")
    answer = orjson.loads(reply.body)
    count, failed = len(answer.get("Records", [1])), answer.get("FailedRecordCount", 0)
    metrics.stream_records.labels(stream, "ok").inc(count - failed)
    if failed:
        metrics.stream_records.labels(stream, "failed").inc(failed)
    return Response(reply.body, media_type=_JSON)
