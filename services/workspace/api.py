"""The Jobs API: routes of `/api/2.1` and `/api/2.2`, which are the same here.

Every request carries the token. A GET's content may be its query string or, as Airflow's deferred tasks send it, JSON
in its body.
"""

import json
import secrets
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pinline.errors import DataError
from pinline.settings import Settings, secret
from workspace import answers, requests, work
from workspace.answers import Json
from workspace.errors import ApiError, invalid, missing
from workspace.notebook import document
from workspace.requests import parse
from workspace.runner import Runner
from workspace.store import Job, Run, Store

MAX_BODY_BYTES = 10 * 2**20


class Api:
    """The API's answers; each takes what a request holds and returns the answer's JSON."""

    def __init__(self, settings: Settings, store: Store, runner: Runner) -> None:
        self._settings = settings
        self._store = store
        self._runner = runner

    def submit(self, values: Json) -> Json:
        """`runs/submit`: start a run of tasks."""
        asked = parse(requests.Submit, values)
        self._check_paths(asked.tasks)
        spec = {"timeout_seconds": asked.timeout_seconds}
        return {"run_id": self._start(asked.run_name, spec, asked.tasks, token=asked.idempotency_token)}

    def get_run(self, values: Json) -> Json:
        """`runs/get`: a run, or a task's."""
        run = self._run(parse(requests.OneRun, values).run_id)
        return answers.run(self._settings, run, [run] if run.parent_id else self._store.tasks(run.run_id))

    def get_output(self, values: Json) -> Json:
        """`runs/get-output`: what a task's run left."""
        run = self._run(parse(requests.OneRun, values).run_id)
        tasks = [run] if run.parent_id else self._store.tasks(run.run_id)
        if len(tasks) > 1:
            keys = ", ".join(f"{task.name} ({task.run_id})" for task in tasks)
            raise invalid(
                "Retrieving the output of runs with multiple tasks is not supported. "
                f"Please retrieve the output of each individual task run instead: {keys}"
            )
        return answers.output(self._settings, tasks[0], self._run(tasks[0].parent_id or run.run_id))

    def cancel(self, values: Json) -> Json:
        """`runs/cancel`: end a run; it may take a moment."""
        run = self._run(parse(requests.OneRun, values).run_id)
        self._runner.cancel(run.parent_id or run.run_id)
        return {}

    def list_runs(self, values: Json) -> Json:
        """`runs/list`: a page of runs, the newest first."""
        asked = parse(requests.RunListing, values)
        if asked.active_only and asked.completed_only:
            raise invalid("active_only and completed_only can't both be true")
        offset, limit = _page(asked)
        found = self._store.runs(
            limit=limit + 1,
            offset=offset,
            job_id=asked.job_id,
            active=True if asked.active_only else False if asked.completed_only else None,
            submitted=None if asked.run_type is None else asked.run_type == "SUBMIT_RUN",
            since=asked.start_time_from,
            until=asked.start_time_to,
        )
        shown = [
            answers.run(self._settings, run, self._store.tasks(run.run_id) if asked.expand_tasks else None)
            for run in found[:limit]
        ]
        return _paged("runs", shown, offset, limit, more=len(found) > limit)

    def create_job(self, values: Json) -> Json:
        """`jobs/create`."""
        asked = parse(requests.Job, values)
        self._check_paths(asked.tasks)
        return {"job_id": self._store.add_job(asked.model_dump(exclude_none=True)).job_id}

    def get_job(self, values: Json) -> Json:
        """`jobs/get`."""
        return answers.job(self._job(parse(requests.OneJob, values).job_id))

    def list_jobs(self, values: Json) -> Json:
        """`jobs/list`: a page of jobs, the newest first."""
        asked = parse(requests.JobListing, values)
        offset, limit = _page(asked)
        found = self._store.jobs(limit + 1, offset, asked.name)
        shown = [answers.job(job) for job in found[:limit]]
        if not asked.expand_tasks:
            for job in shown:
                job["settings"] = {name: value for name, value in job["settings"].items() if name != "tasks"}
        return _paged("jobs", shown, offset, limit, more=len(found) > limit)

    def run_now(self, values: Json) -> Json:
        """`jobs/run-now`: start a run of a job."""
        asked = parse(requests.RunNow, values)
        job = self._job(asked.job_id)
        settings = parse(requests.Job, job.settings)
        defaults = {parameter.name: parameter.default for parameter in settings.parameters}
        if unknown := sorted(asked.job_parameters.keys() - defaults.keys()):
            raise invalid(f"job {job.job_id} has no parameters {', '.join(unknown)}")
        spec = {
            "timeout_seconds": settings.timeout_seconds,
            "max_concurrent_runs": settings.max_concurrent_runs,
            "job_parameters": defaults | asked.job_parameters,
            "notebook_params": asked.notebook_params,
            "python_params": asked.python_params,
        }
        token = asked.idempotency_token
        run_id = self._start(settings.name, spec, settings.tasks, token=token, job_id=job.job_id)
        return {"run_id": run_id, "number_in_job": run_id}

    def delete_job(self, values: Json) -> Json:
        """`jobs/delete`: its runs stay."""
        self._store.delete_job(self._job(parse(requests.OneJob, values).job_id).job_id)
        return {}

    def _start(self, name: str, spec: Json, tasks: list[requests.Task], *, token: str | None, job_id: int = 0) -> int:
        wanted = [task.model_dump(exclude_none=True) for task in tasks]
        run, is_new = self._store.add_run(name, spec, wanted, job_id=job_id, token=token or None)
        if is_new:
            self._runner.start(run.run_id)
        return run.run_id

    def _check_paths(self, tasks: list[requests.Task]) -> None:
        """Refuse a path that leaves the workspace. One that isn't there fails when the run gets to it."""
        root = self._settings.workspace_root
        for task in tasks:
            try:
                document.locate(root, work.path_of(task.model_dump(exclude_none=True)), root)
            except DataError as error:
                raise invalid(f"task {task.task_key}: {error}") from None

    def _run(self, run_id: int) -> Run:
        if (run := self._store.run(run_id)) is None:
            raise missing(f"Run {run_id} does not exist.")
        return run

    def _job(self, job_id: int) -> Job:
        if (job := self._store.job(job_id)) is None:
            raise missing(f"Job {job_id} does not exist.")
        return job


def create_router(settings: Settings, api: Api) -> APIRouter:
    """Return the routes, for both versions."""
    token = secret(settings.databricks_token, "DATABRICKS_TOKEN")
    router = APIRouter()
    routes: list[tuple[str, str, Callable[[Json], Json]]] = [
        ("POST", "jobs/runs/submit", api.submit),
        ("GET", "jobs/runs/get", api.get_run),
        ("GET", "jobs/runs/get-output", api.get_output),
        ("GET", "jobs/runs/list", api.list_runs),
        ("POST", "jobs/runs/cancel", api.cancel),
        ("POST", "jobs/create", api.create_job),
        ("GET", "jobs/get", api.get_job),
        ("GET", "jobs/list", api.list_jobs),
        ("POST", "jobs/run-now", api.run_now),
        ("POST", "jobs/delete", api.delete_job),
    ]
    for method, path, answer in routes:
        for version in ("2.1", "2.2"):
            endpoint = _endpoint(token, answer)
            router.add_api_route(
                f"/api/{version}/{path}", endpoint, methods=[method], response_model=None, summary=answer.__doc__
            )
    return router


def check_token(request: Request, token: str) -> None:
    """Raise ApiError unless the request carries the token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise ApiError(
            401, "UNAUTHENTICATED", "the request has no token: send Authorization: Bearer <DATABRICKS_TOKEN>"
        )
    if not secrets.compare_digest(given.strip().encode(), token.encode()):
        raise ApiError(403, "PERMISSION_DENIED", "Invalid access token: it is not the workspace's DATABRICKS_TOKEN")


def _endpoint(token: str, answer: Callable[[Json], Json]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        check_token(request, token)
        return JSONResponse(answer(await _content(request)))

    return endpoint


async def _content(request: Request) -> Json:
    """Return a request's content: query string and JSON body together."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(413, "MAX_REQUEST_SIZE_EXCEEDED", f"a request may have {MAX_BODY_BYTES:,} bytes")
    try:
        content = json.loads(bytes(body)) if body.strip() else {}
    except ValueError as error:
        raise ApiError(400, "MALFORMED_REQUEST", f"the request's body is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ApiError(400, "MALFORMED_REQUEST", "the request's body is no JSON object")
    return {**request.query_params, **content}


def _page(asked: requests.Listing) -> tuple[int, int]:
    if not asked.page_token:
        return asked.offset, asked.limit or 20
    if not asked.page_token.isdecimal() or len(asked.page_token) > 9:
        raise invalid(f"page_token {asked.page_token!r} is none that this workspace gave")
    return int(asked.page_token), asked.limit or 20


def _paged(name: str, shown: list[Json], offset: int, limit: int, *, more: bool) -> Json:
    made: Json = {name: shown, "has_more": more}
    if more:
        made["next_page_token"] = str(offset + limit)
    if offset:
        made["prev_page_token"] = str(max(0, offset - limit))
    return made
