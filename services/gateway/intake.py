"""Take request bodies in: at most 10 MiB each, at most 256 MiB at once, and not slower than 30 s."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Gauge
from starlette.requests import Request

BODY_LIMIT = 10 * 1024 * 1024
"""Bytes. API Gateway's payload limit, which is fixed."""
MEMORY_LIMIT = 256 * 1024 * 1024
"""Bytes of bodies that may be in work at once; what comes on top is asked to come again later."""
_BODY_TIMEOUT_S = 30.0


class TooLongError(Exception):
    """The body is larger than `BODY_LIMIT`."""


class TooManyError(Exception):
    """The bodies in work fill `MEMORY_LIMIT`."""


class TooSlowError(Exception):
    """The client did not finish its body in time, or went away."""


class Intake:
    """Counts the bytes in work, over both listeners."""

    def __init__(self, gauge: Gauge, *, memory_limit: int = MEMORY_LIMIT) -> None:
        self._gauge = gauge
        self._memory_limit = memory_limit
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Read the body and hold it in the count until the block ends. Raises one of this module's errors."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > 15 or int(declared) > BODY_LIMIT):
            raise TooLongError
        held = 0
        try:
            chunks = []
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                more = True
                while more:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise TooSlowError
                    chunk = message.get("body", b"")
                    held += len(chunk)
                    self._count(len(chunk))
                    if held > BODY_LIMIT:
                        raise TooLongError
                    if self._held > self._memory_limit:
                        raise TooManyError
                    chunks.append(chunk)
                    more = message.get("more_body", False)
            yield chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError:
            raise TooSlowError from None
        finally:
            self._count(-held)

    def _count(self, change: int) -> None:
        self._held += change
        self._gauge.set(self._held)
