"""Listen until SIGTERM or SIGINT. Then: no new connections, requests under way are answered, the exit code is 0."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop

from kinesis.app import App
from kinesis.errors import StartError
from kinesis.http2 import Either
from kinesis.parts import create_parts
from kinesis.settings import Settings

log = structlog.get_logger("kinesis")

_KEEP_ALIVE_S = 75
"""Longer than clients keep their pooled connections, so that the client is the one who closes."""
_CONNECTIONS = 2048
_GRACE_S = 25
_GARBAGE = 50_000
"""Objects between two garbage collections. By default the records of each large request would start one."""


class _Listener(uvicorn.Server):
    """A server that leaves the signals to `_serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings) -> int:
    """Serve until a signal; return how many records were left unacknowledged. Raises StartError for a taken port."""
    with (
        contextlib.closing(_bind(settings.host, settings.port)) as sock,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_serve(settings, sock))


async def _serve(settings: Settings, sock: socket.socket) -> int:
    parts = create_parts(settings)
    resting = parts.start()
    listener = _Listener(
        uvicorn.Config(
            App(parts),
            http=Either,
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            backlog=2048,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )

    def stop() -> None:
        listener.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    gc.collect()
    gc.freeze()  # what is there now stays: no collection walks it
    gc.set_threshold(_GARBAGE, 20, 20)
    log.info("started", endpoint=f"http://{settings.host}:{settings.port}", kafka=settings.servers)
    await listener.serve([sock])
    left = await parts.close(resting)
    log.info("stopped", unacknowledged=left)
    return left


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror}. End the program that has the port, or choose another "
            "one with --port."
        ) from None
    sock.set_inheritable(True)
    return sock
