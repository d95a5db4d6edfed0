"""Runs a DAG by `dag.test()`, in Airflow's own environment: `run_dag.py DAG_ID`. Prints its tasks' states as JSON."""

import json
import os
import sys
from contextlib import redirect_stdout

from airflow.dag_processing.dagbag import DagBag

with redirect_stdout(sys.stderr):
    bag = DagBag()
    if bag.import_errors:
        sys.exit(str(bag.import_errors))
    run = bag.dags[sys.argv[1]].test()
    tasks = {task.task_id: str(task.state) for task in run.get_task_instances()}
print(json.dumps(tasks))
sys.stdout.flush()
os._exit(0)  # the API server of dag.test() stays otherwise
