"""Run both listeners in one process: API Gateway's port and the REST proxy's, until SIGTERM or SIGINT.

On a signal: no new connections, requests under way are answered, the producer is flushed, the exit code is 0.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop

from gateway.apigateway import stage_of
from gateway.app import create_app, create_parts
from pinline.listener import bind
from pinline.settings import Settings, address

log = structlog.get_logger("gateway")

_KEEP_ALIVE_S = 75
"""Longer than clients keep their pooled connections, so that the client is the one who closes."""
_CONNECTIONS = 4096
_GRACE_S = 28
"""A request is answered within 27 s."""
_GARBAGE = 50_000
"""Objects between two collections: those of a hundred large requests, nearly all of them freed without one."""


class _Listener(uvicorn.Server):
    """A server that leaves the signals to `_serve`, which ends both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings, host: str = "127.0.0.1") -> int:
    """Serve until a signal; return how many records were left unacknowledged. Raises PinlineError for a taken port."""
    stage = stage_of(settings.api_invoke_url)
    api_port = address(settings.api_invoke_url)[1]
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(bind(host, api_port, "gateway", "API_INVOKE_URL"))
        proxy = stack.enter_context(bind(host, settings.rest_proxy_port, "gateway", "REST_PROXY_PORT"))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings, stage, api, proxy))


async def _serve(settings: Settings, stage: str, api: socket.socket, proxy: socket.socket) -> int:
    parts = create_parts(settings)
    parts.start()
    listeners = [
        (listener(create_app(settings, parts, stage=stage)), api),
        (listener(create_app(settings, parts, stage=None)), proxy),
    ]

    def stop() -> None:
        for listener, _ in listeners:
            listener.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    collect_seldom()
    log.info(
        "started",
        api=f"http://{_shown(api)}/{stage}/topics/TOPIC",
        rest_proxy=f"http://{_shown(proxy)}/topics/TOPIC",
        kafka=settings.kafka_bootstrap_servers,
    )
    await asyncio.gather(*(listener.serve([sock]) for listener, sock in listeners))
    await parts.kinesis.close()
    left = await asyncio.to_thread(parts.close)
    log.info("stopped", unacknowledged=left)
    return left


def collect_seldom() -> None:
    """Leave what is there now out of garbage collection, and collect less often.

    By default each record of a request counts towards a collection that walks the whole application: a third of the
    CPU time with 500 records a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 20)


def listener(app: object) -> uvicorn.Server:
    """Return a server of an ASGI application, with the settings of both listeners."""
    return _Listener(
        uvicorn.Config(
            app,  # type: ignore[arg-type]  # an ASGI application
            http="httptools",
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


def _shown(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"{host}:{port}"
