"""Runs the provider's operators against a workspace, in Airflow's own environment: `operators.py SPEC.json`.

The specification is a list of objects: `task_id`, `operator` (a class of the provider), `arguments`. Each becomes a
task of one DAG, none after another. Prints the tasks' states and what they left in XCom, as JSON.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from airflow.providers.databricks.operators import databricks
from airflow.sdk import DAG

specification = json.loads(Path(sys.argv[1]).read_text())
with DAG(dag_id="operators", schedule=None, default_args={"retries": 0, "polling_period_seconds": 1}) as dag:
    for wanted in specification:
        operator: Any = getattr(databricks, wanted["operator"])
        operator(task_id=wanted["task_id"], **wanted["arguments"])

if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        run = dag.test()
        tasks = {task.task_id: task for task in run.get_task_instances()}
    print(json.dumps({name: str(task.state) for name, task in tasks.items()}))
    sys.stdout.flush()
    os._exit(0)  # the API server of dag.test() stays otherwise
