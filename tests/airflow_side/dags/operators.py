"""A DAG of the provider's operators, one task each, none after another, from the file that `SPECIFICATION` names.

The specification is a list of objects: `task_id`, `operator` (a class of the provider), `arguments`.
"""

import json
import os
from pathlib import Path
from typing import Any

from airflow.providers.databricks.operators import databricks
from airflow.sdk import DAG

with DAG(dag_id="operators", schedule=None, default_args={"retries": 0, "polling_period_seconds": 1}) as dag:
    for wanted in json.loads(Path(os.environ["SPECIFICATION"]).read_text()):
        operator: Any = getattr(databricks, wanted["operator"])
        operator(task_id=wanted["task_id"], **wanted["arguments"])
