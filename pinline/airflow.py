"""Airflow's REST API, as far as running a DAG takes it: start a run, look at its tasks, read a task's log.

A client logs in with `AIRFLOW_PASSWORD` on first use. Every method raises UnreachableError when Airflow doesn't answer,
RefusedError when it refuses.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Self
from urllib.parse import quote

import httpx

from pinline.errors import RefusedError, UnreachableError
from pinline.settings import Settings, secret

USER = "admin"
_SECONDS = 30.0
_ENDED = ("success", "failed")
_TASK_ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")


@dataclass(frozen=True)
class Task:
    """A task of a run: what Airflow last did with it."""

    name: str
    state: str
    """Airflow's word: none, scheduled, queued, running, deferred, success, failed, up_for_retry, skipped, ..."""
    tries: int
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in _TASK_ENDED


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG."""

    dag: str
    run: str
    state: str
    """queued, running, success, failed."""
    note: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.state in _ENDED


class Airflow:
    """A client of the Airflow at `AIRFLOW_PORT`; as a context it is closed at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.url = f"http://127.0.0.1:{settings.airflow_port}"
        self._http = httpx.Client(base_url=self.url, timeout=_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def trigger(self, dag: str, conf: dict[str, Any]) -> DagRun:
        """Start a run with the parameters `conf`. A paused DAG is unpaused: its run would never begin."""
        self._ask("PATCH", f"/api/v2/dags/{quote(dag)}", json={"is_paused": False})
        found = self._ask("POST", f"/api/v2/dags/{quote(dag)}/dagRuns", json={"logical_date": None, "conf": conf})
        return _dag_run(found)

    def knows(self, dag: str) -> bool:
        """Whether the DAG was found in its folder."""
        return self._send("GET", f"/api/v2/dags/{quote(dag)}").status_code == httpx.codes.OK

    def import_errors(self) -> list[str]:
        """Return what is wrong with DAG files."""
        return [error["stack_trace"] for error in self._ask("GET", "/api/v2/importErrors")["import_errors"]]

    def run(self, dag: str, run: str) -> DagRun:
        """Return a run as it is now."""
        return _dag_run(self._ask("GET", self._path(dag, run)))

    def runs(self, dag: str) -> list[DagRun]:
        """Return the runs that have not ended, the oldest first."""
        query = {"state": ["queued", "running"], "order_by": "id"}
        return [_dag_run(found) for found in self._ask("GET", f"/api/v2/dags/{quote(dag)}/dagRuns", query)["dag_runs"]]

    def tasks(self, run: DagRun) -> list[Task]:
        """Return the run's tasks."""
        found = self._ask("GET", f"{self._path(run.dag, run.run)}/taskInstances", {"limit": 1000})
        return [
            Task(task["task_id"], task["state"] or "none", task["try_number"], _time(task, "start"), _time(task, "end"))
            for task in found["task_instances"]
        ]

    def log(self, run: DagRun, task: Task) -> list[dict[str, Any]]:
        """Return the log of a task's last try: an object an event, with `event`, and mostly `timestamp` and `level`."""
        path = f"{self._path(run.dag, run.run)}/taskInstances/{quote(task.name)}/logs/{max(task.tries, 1)}"
        events: list[dict[str, Any]] = self._ask("GET", path, {"full_content": True})["content"]
        return [event for event in events if isinstance(event, dict)]

    def page(self, run: DagRun, task: Task | None = None) -> str:
        """Return the address of a run's page, or of a task's with its log."""
        place = f"{self.url}/dags/{quote(run.dag)}/runs/{quote(run.run)}"
        return place if task is None else f"{place}/tasks/{quote(task.name)}"

    def reason(self, run: DagRun, task: Task) -> str:
        """Return why a task failed, from its log."""
        for event in reversed(self.log(run, task)):
            for error in event.get("error_detail") or []:
                if text := error.get("exc_value"):
                    return str(text)
            if event.get("level") in ("error", "critical"):
                return str(event["event"])
        return "its log names no error"

    @staticmethod
    def _path(dag: str, run: str) -> str:
        return f"/api/v2/dags/{quote(dag)}/dagRuns/{quote(run, safe='')}"

    @cached_property
    def _token(self) -> str:
        login = {"username": USER, "password": secret(self._settings.airflow_password, "AIRFLOW_PASSWORD")}
        answer = self._request("POST", "/auth/token", json=login)
        if answer.status_code != httpx.codes.CREATED:
            raise RefusedError(f"Airflow refuses the login of {USER} with AIRFLOW_PASSWORD: {answer.text[:200]}")
        return str(answer.json()["access_token"])

    def _ask(self, method: str, path: str, query: dict[str, Any] | None = None, **content: Any) -> dict[str, Any]:
        answer = self._send(method, path, params=query, **content)
        if answer.is_error:
            text = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())[:500]
            raise RefusedError(f"Airflow refuses {method} {path} with {answer.status_code}: {text}")
        found: dict[str, Any] = answer.json()
        return found

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._request(method, path, headers={"Authorization": f"Bearer {self._token}"}, **content)

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **content)
        except httpx.TransportError as error:
            raise UnreachableError("Airflow", self.url, "AIRFLOW_PORT", error) from None


def _dag_run(found: dict[str, Any]) -> DagRun:
    return DagRun(found["dag_id"], found["dag_run_id"], found["state"], found.get("note") or "")


def _time(task: dict[str, Any], which: str) -> datetime | None:
    text = task[f"{which}_date"]
    return datetime.fromisoformat(text) if text else None
