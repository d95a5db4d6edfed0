"""The gateway, a record a request, beside its own application answering a constant."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

from bench import bare, constant
from bench.figures import Goal, Row, Size
from bench.load import Post, load
from pinline.events import PIN
from pinline.settings import address
from tests.faults.load import command
from tests.fixtures.backends import Stack, embedded_stack, free_port

_CONNECTIONS = (1, 15, 50)


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield requests/s and latencies at each number of connections."""
    with embedded_stack(folder, "kafka", "gateway") as stack:
        port = address(stack.settings.api_invoke_url)[1]
        posts = [Post(f"/dev/topics/{PIN.topic(stack.settings.user_id)}", body(n, 1)) for n in range(2000)]
        ours = {n: load(port, posts, n, size.seconds, folder) for n in _CONNECTIONS}
        constants = [Post(constant.PATH, post.body) for post in posts]
        with answering(stack) as at:
            same = {n: load(at, constants, n, size.seconds, folder) for n in _CONNECTIONS}
        with answering(stack, "--bare") as at:
            alone = load(at, constants, 15, size.seconds, folder)
    for number in _CONNECTIONS:
        found, peer = ours[number], same[number]
        what = f"1 record, {number} connection{'s' if number > 1 else ''}"
        goal = Goal(ratio=0.45) if number == 15 else Goal()
        note = f"{found.client}; p50 {found.p50:.1f} ms"
        yield Row("gateway", what, found.rate, "requests/s", "same app, a constant", peer.rate, goal, note)
        goal = Goal(most=40) if number == 15 else Goal()
        yield Row("gateway", f"{what}, p99", found.p99, "ms", "same app, a constant", peer.p99, goal)
    yield Row(
        "gateway", "1 record, 15 connections", ours[15].rate, "requests/s", "bare FastAPI, a constant", alone.rate
    )


def body(first: int, count: int) -> bytes:
    """Return a request of `count` records of `bare.RECORD_BYTES`, each with a key."""
    records = (b'{"key":"%d","value":%b}' % (n, bare.record(n)) for n in range(first, first + count))
    return b'{"records":[%b]}' % b",".join(records)


@contextmanager
def answering(stack: Stack, *arguments: str) -> Iterator[int]:
    """The service that answers a constant; its port."""
    port = free_port()
    with command(stack, "-m", "bench.constant", str(port), *arguments) as process:
        deadline = time.monotonic() + 30
        while True:
            if process.ended or time.monotonic() > deadline:
                raise RuntimeError(f"bench.constant does not answer: {process.said[-2000:]}")
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}{constant.PATH}", content=b"{}")
                orjson.loads(answer.raise_for_status().content)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield port
