"""Prints what Airflow finds in a folder of DAGs, as JSON. Runs in Airflow's own environment: `describe.py FOLDER`."""

import json
import sys
from contextlib import redirect_stdout
from typing import Any

from airflow.dag_processing.dagbag import DagBag


def described(dag: Any) -> dict[str, Any]:
    """Return a DAG's schedule, parameters and tasks."""
    return {
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "schedule": dag.timetable.expression if hasattr(dag.timetable, "expression") else str(dag.timetable),
        "params": {key: dag.params.get_param(key).value for key in dag.params},
        "tasks": {task.task_id: task_described(task) for task in dag.tasks},
    }


def task_described(task: Any) -> dict[str, Any]:
    """Return a task's kind, place, retries, job and outlets."""
    return {
        "kind": type(task).__name__,
        "upstream": sorted(task.upstream_task_ids),
        "trigger_rule": str(task.trigger_rule),
        "retries": task.retries,
        "backoff": bool(task.retry_exponential_backoff),
        "deferrable": getattr(task, "deferrable", None),
        "polling": getattr(task, "polling_period_seconds", None),
        "json": getattr(task, "json", None),
        "outlets": [asset.name for asset in task.outlets],
    }


with redirect_stdout(sys.stderr):
    bag = DagBag(sys.argv[1])
print(json.dumps({"errors": bag.import_errors, "dags": {name: described(dag) for name, dag in bag.dags.items()}}))
