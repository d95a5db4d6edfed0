"""A port for operators: `/metrics` (Prometheus), `/healthz`, `/readyz`."""

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from pinline.errors import SettingsError


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Requests for metrics are no events."""


def serve(
    port: int, setting: str, registry: CollectorRegistry, status: Callable[[], dict[str, Any]], host: str = "127.0.0.1"
) -> Callable[[], None]:
    """Serve `/metrics`, `/healthz` and `/readyz` (503 until `status()["ready"]`); returns what ends it.

    `setting` is the one that moves the port. Raises SettingsError when the port is taken.
    """
    prometheus = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body: dict[str, Any]
        match environ.get("PATH_INFO"):
            case "/metrics":
                return prometheus(environ, start_response)  # type: ignore[no-any-return,unused-ignore]
            case "/healthz":
                code, body = "200 OK", {"alive": True}
            case "/readyz":
                body = status()
                code = "200 OK" if body["ready"] else "503 Service Unavailable"
            case _:
                code, body = "404 Not Found", {"paths": ["/metrics", "/healthz", "/readyz"]}
        start_response(code, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    try:
        server: WSGIServer = make_server(host, port, app, handler_class=_QuietHandler)
    except OSError as error:
        raise SettingsError(f"metrics can't be served on {host}:{port}: {error}. Set another {setting}.") from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server.shutdown
