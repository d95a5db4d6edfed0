"""Take request bodies in: each at most what a request may hold, all together at most what fits in memory.

Who comes when the memory is taken waits; nobody is sent away for it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import Gauge

BODY_LIMIT = 15_000_000
"""Bytes: 10 MiB of records as base64, and the JSON around them."""
MEMORY_LIMIT = 20_000_000
_BODY_TIMEOUT_S = 30.0
_UNKNOWN_LENGTH = 65_536


class TooLongError(Exception):
    """The body is larger than `BODY_LIMIT`."""


class TooSlowError(Exception):
    """The client did not finish its body in time, or went away."""


class Intake:
    """Counts the bytes in work."""

    def __init__(self, gauge: Gauge, *, memory_limit: int = MEMORY_LIMIT) -> None:
        self._gauge = gauge
        self._limit = memory_limit
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def body(
        self, headers: dict[str, str], receive: Callable[[], Awaitable[MutableMapping[str, Any]]]
    ) -> AsyncIterator[bytes]:
        """Read the body and count it until the block ends. Raises one of this module's errors."""
        declared = headers.get("content-length", "")
        expected = int(declared) if declared.isdecimal() and len(declared) < 15 else _UNKNOWN_LENGTH
        if expected > BODY_LIMIT:
            raise TooLongError
        held = expected
        await self._reserve(held)
        try:
            chunks: list[bytes] = []
            size = 0
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise TooSlowError
                    chunk: bytes = message.get("body", b"")
                    if chunk:
                        chunks.append(chunk)
                        size += len(chunk)
                    if size > BODY_LIMIT:
                        raise TooLongError
                    if size > held:
                        self._add(size - held)
                        held = size
                    if not message.get("more_body", False):
                        break
            yield chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError:
            raise TooSlowError from None
        finally:
            self._add(-held)

    async def _reserve(self, size: int) -> None:
        if not self._waiting and self._fits(size):
            self._add(size)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._add(-size)
            raise

    def _fits(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._limit

    def _add(self, change: int) -> None:
        self._held += change
        while self._waiting and (self._waiting[0][1].done() or self._fits(self._waiting[0][0])):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._held += size
                turn.set_result(None)
        self._gauge.set(self._held)
