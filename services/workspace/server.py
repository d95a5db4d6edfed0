"""Serve the workspace on DATABRICKS_HOST's port until SIGTERM or SIGINT.

On a signal the runs at work are ended and marked as failed; those that wait for a place are started by the next start.
"""

import socket

import structlog
import uvicorn

from pinline.listener import bind
from pinline.settings import Settings, address
from workspace.app import create_app
from workspace.store import Store

log = structlog.get_logger("workspace")

_GRACE_S = 5


def run(settings: Settings, host: str = "127.0.0.1") -> None:
    """Serve until a signal. Raises PinlineError for a taken port."""
    port = address(settings.databricks_host)[1]
    with bind(host, port, "workspace", "DATABRICKS_HOST") as sock:
        store = Store(settings.pinline_data / "workspace" / "workspace.sqlite")
        app = create_app(settings, store, lambda: spark_problem(settings))
        log.info("started", address=settings.databricks_host, root=str(settings.workspace_root))
        uvicorn.Server(
            uvicorn.Config(
                app,
                http="httptools",
                loop="uvloop",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        ).run([sock])
        store.close()
        log.info("stopped")


def spark_problem(settings: Settings) -> str | None:
    """Return why tasks have no Spark, or None."""
    if settings.spark_remote is None:
        return None
    host, port = address(settings.spark_remote)
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return f"cannot reach Spark at {host}:{port} (SPARK_REMOTE): {error}"
    return None
