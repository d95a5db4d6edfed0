"""Runs and jobs as the Jobs API shows them."""

from collections.abc import Sequence
from typing import Any

from pinline.settings import Settings
from workspace import work
from workspace.store import Job, Run

Json = dict[str, Any]
_OUTPUT_BYTES = 5 * 2**20
"""Databricks gives the first 5 MB of a notebook's result and the end of a log."""
_CODES = {
    "SUCCESS": ("SUCCESS", "SUCCESS"),
    "FAILED": ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    "TIMEDOUT": ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    "CANCELED": ("USER_CANCELED", "SUCCESS"),
    "UPSTREAM_FAILED": ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    "UPSTREAM_CANCELED": ("USER_CANCELED", "SUCCESS"),
}
_CREATOR = "pinline"


def run(settings: Settings, found: Run, tasks: Sequence[Run] | None) -> Json:
    """Return a run, or a task's, as `runs/get` gives it; without its tasks if they are None."""
    made: Json = {
        "run_id": found.run_id,
        "job_id": found.job_id or found.run_id,
        "number_in_job": found.run_id,
        "original_attempt_run_id": found.run_id,
        "creator_user_name": _CREATOR,
        "run_name": found.name,
        "run_type": "JOB_RUN" if found.job_id else "SUBMIT_RUN",
        "trigger": "ONE_TIME",
        "format": "MULTI_TASK",
        "run_page_url": page(settings, found.run_id),
        **_progress(found),
    }
    if found.spec.get("job_parameters"):
        made["job_parameters"] = [{"name": name, "value": text} for name, text in found.spec["job_parameters"].items()]
    if tasks is not None:
        made["tasks"] = [_task(settings, task) for task in tasks]
    return made


def output(settings: Settings, task: Run, parent: Run) -> Json:
    """Return what a task's run left, as `runs/get-output` gives it."""
    made: Json = {"metadata": run(settings, task, [task])}
    made["metadata"]["run_name"] = parent.name
    left = work.files(settings, task.run_id)
    if work.is_notebook(task):
        found = work.ended(settings, task, 1) if left.result.exists() else None
        if found and found.exit is not None:
            cut = len(found.exit) > _OUTPUT_BYTES
            made["notebook_output"] = {"result": found.exit[:_OUTPUT_BYTES], "truncated": cut}
        else:
            made["notebook_output"] = {}
        trace = found.trace if found else None
    else:
        made["logs"] = work.tail_of(left.log, _OUTPUT_BYTES)
        made["logs_truncated"] = left.log.exists() and left.log.stat().st_size > _OUTPUT_BYTES
        trace = work.tail_of(left.log)
    if not task.is_active and task.result != "SUCCESS":
        made["error"] = task.message
        made["error_trace"] = trace or task.message
    return made


def job(found: Job) -> Json:
    """Return a job as `jobs/get` gives it."""
    return {
        "job_id": found.job_id,
        "creator_user_name": _CREATOR,
        "created_time": found.created,
        "settings": {"format": "MULTI_TASK", **found.settings},
    }


def page(settings: Settings, run_id: int) -> str:
    """Return the address of a run's page."""
    return f"{settings.pages_url}/runs/{run_id}"


def _task(settings: Settings, task: Run) -> Json:
    return {
        **task.spec,
        "run_id": task.run_id,
        "attempt_number": 0,
        "run_page_url": page(settings, task.run_id),
        **_progress(task),
    }


def _progress(found: Run) -> Json:
    """Return state and times, in the old form (`state`) and the new (`status`)."""
    state: Json = {"life_cycle_state": found.life, "state_message": found.message}
    state["user_cancelled_or_timedout"] = found.result in ("CANCELED", "TIMEDOUT")
    if found.result:
        state["result_state"] = found.result
    status: Json = {"state": "TERMINATED" if not found.is_active else found.life}
    if found.life == "PENDING" and found.parent_id:
        status["state"] = "BLOCKED"
    if found.life == "QUEUED":
        status["queue_details"] = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": found.message}
    if not found.is_active:
        code, kind = _CODES[found.result or "FAILED"]
        if found.life == "INTERNAL_ERROR":
            code, kind = "INTERNAL_ERROR", "INTERNAL_ERROR"
        status["termination_details"] = {"code": code, "type": kind, "message": found.message}
    started = found.started or found.created
    return {
        "state": state,
        "status": status,
        "start_time": started,
        "end_time": found.ended,
        "setup_duration": 0,
        "execution_duration": int(found.seconds * 1000),
        "cleanup_duration": 0,
        "run_duration": (found.ended - found.created) if found.ended else 0,
        "queue_duration": started - found.created,
    }
