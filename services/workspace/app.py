"""The application: the Jobs API, the pages, and the operator's routes `/healthz`, `/readyz`, `/metrics`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pinline.settings import Settings, address
from workspace import __doc__ as about
from workspace.api import Api, create_router
from workspace.errors import ApiError
from workspace.metrics import Metrics
from workspace.pages import create_pages
from workspace.retention import keep_forgetting
from workspace.runner import Runner
from workspace.store import Store

log = structlog.get_logger("workspace")


def create_app(settings: Settings, store: Store, problem: Callable[[], str | None]) -> FastAPI:
    """Return the application. `problem` says why runs can't work now, or None; it is asked in a thread."""
    metrics = Metrics()

    @contextlib.asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        await runner.recover()
        forgetting = asyncio.create_task(keep_forgetting(settings, store))
        yield
        forgetting.cancel()
        await runner.stop()

    runner = Runner(settings, store, metrics)
    app = FastAPI(title="Pinline workspace", version="2.2", description=about, redoc_url=None, lifespan=life)
    app.include_router(create_router(settings, Api(settings, store, runner)))
    app.include_router(create_pages(settings, store))
    _add_operator_routes(app, store, metrics, problem)
    _add_error_answers(app)

    @app.middleware("http")
    async def counted(request: Request, call_next: Callable[[Request], object]) -> Response:
        response: Response = await call_next(request)  # type: ignore[misc]
        route = getattr(request.scope.get("route"), "path", "none")
        metrics.requests.labels(route, response.status_code).inc()
        return response

    # a page of elsewhere can't read these by a name of its own that leads here
    hosts = [address(url)[0] for url in (settings.databricks_host, settings.pages_url)] + ["127.0.0.1", "localhost"]
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    return app


def _add_operator_routes(app: FastAPI, store: Store, metrics: Metrics, problem: Callable[[], str | None]) -> None:
    @app.get("/healthz", summary="The process lives", response_model=None)
    async def healthz() -> Response:
        return JSONResponse({"alive": True})

    @app.get("/readyz", summary="Runs can work", response_model=None)
    async def readyz() -> Response:
        store.check()
        found = await run_in_threadpool(problem)
        body = {"ready": found is None, "active_runs": len(store.runs(active=True)), "problem": found}
        return JSONResponse(body, 200 if found is None else 503)

    @app.get("/metrics", summary="Prometheus metrics", response_model=None, include_in_schema=False)
    async def shown() -> Response:
        return Response(generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})


def _add_error_answers(app: FastAPI) -> None:
    def answer(status: int, code: str, message: str) -> Response:
        return JSONResponse({"error_code": code, "message": message}, status)

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)  # noqa: S101  # Starlette's handlers are typed for any exception
        return answer(error.status, error.error_code, str(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        if error.status_code == 404:
            text = f"No API found for '{request.method} {request.url.path}': this workspace has the Jobs API only"
            return answer(404, "ENDPOINT_NOT_FOUND", text)
        return answer(error.status_code, "BAD_REQUEST", str(error.detail))

    async def fault(request: Request, error: Exception) -> Response:
        log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
        return answer(
            500, "INTERNAL_ERROR", f"the workspace failed: {type(error).__name__}. Try: make logs SERVICE=workspace"
        )

    app.add_exception_handler(ApiError, refused)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, fault)
