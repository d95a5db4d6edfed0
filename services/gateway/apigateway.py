"""What API Gateway puts in front of the REST proxy: the stage, its own errors, its headers.

A request for `/{stage}/{proxy+}` goes on to the proxy, whose status and body come back unchanged. All else is
answered here as AWS answers it: no such stage, or no such resource, is 403 "Missing Authentication Token".
Kinesis's resources (`/{stage}/streams/...`) are routes beside the proxy's, under the same stage.
Sources: "Gateway response types" and "Amazon API Gateway quotas" of the API Gateway developer guide.
"""

import base64
import os
from typing import Final
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinline.errors import SettingsError

MISSING_TOKEN: Final = (403, "Missing Authentication Token", "MissingAuthenticationTokenException")
TOO_LONG: Final = (413, "Request Too Long", "RequestTooLargeException")
TOO_MANY: Final = (429, "Too Many Requests", "TooManyRequestsException")
TIMED_OUT: Final = (504, "Endpoint request timed out", "InternalServerErrorException")
UNREACHABLE: Final = (504, "Network error communicating with endpoint", "InternalServerErrorException")
FAULT: Final = (500, "Internal server error", "InternalServerErrorException")


def error_answer(error: tuple[int, str, str]) -> Response:
    """Return `{"message": ...}` with its status and its `x-amzn-ErrorType`."""
    status, message, kind = error
    body = orjson.dumps({"message": message})
    return Response(body, status, headers={"x-amzn-ErrorType": kind}, media_type="application/json")


def stage_of(api_invoke_url: str) -> str:
    """Return the stage that API_INVOKE_URL ends with.

    >>> stage_of("http://127.0.0.1:8000/dev")
    'dev'
    """
    stage = urlsplit(api_invoke_url).path.strip("/")
    if not stage or "/" in stage:
        raise SettingsError(
            f"API_INVOKE_URL has the value {api_invoke_url!r}: expected an address that ends with one stage, "
            "such as http://127.0.0.1:8000/dev"
        )
    return stage


class Stage:
    """ASGI layer: lets through `/{stage}/...` and the paths in `outside`, and adds API Gateway's headers."""

    def __init__(self, app: ASGIApp, *, stage: str, outside: frozenset[str]) -> None:
        self._app = app
        self._prefix = f"/{stage}/"
        self._outside = outside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._outside:
            await self._app(scope, receive, send)
            return
        request_id: str = scope["request_id"]

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-amzn-RequestId"] = request_id
                headers["x-amz-apigw-id"] = base64.b64encode(os.urandom(11)).decode()
            await send(message)

        path: str = scope["path"]
        if path.startswith(self._prefix) and len(path) > len(self._prefix):
            await self._app(scope, receive, marked)
        else:
            await error_answer(MISSING_TOKEN)(scope, receive, marked)
