"""Runs of the workspace that use Spark: notebooks and Python files on a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pinline.settings import Settings
from tests.fixtures.backends import wait_until
from tests.fixtures.lake import running_jobs
from tests.fixtures.workspace import Workspace, serving

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(600)]

PYTHON = """
import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("rows", spark.range(int(sys.argv[1])).selectExpr("sum(id) AS s").first().s)
"""
ENDLESS = """
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("begun", flush=True)
spark.range(10**12).selectExpr("max(sqrt(id))").collect()
"""
BROKEN = """# Databricks notebook source
x = 0

# COMMAND ----------

1 / x
"""
NOTEBOOK = """# Databricks notebook source
dbutils.widgets.text("count", "0")
found = spark.range(int(dbutils.widgets.get("count"))).count()
print("the notebook counts", found)

# COMMAND ----------

dbutils.notebook.exit(found * 2)
"""


@pytest.fixture
def runs(fresh_lake_settings: Settings, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace beside the session's Spark server and S3."""
    names = ("user_id", "aws_endpoint_url_s3", "aws_access_key_id", "spark_remote")
    values = {name: getattr(fresh_lake_settings, name) for name in names}
    with serving(tmp_path, aws_secret_access_key="test", **values) as workspace:
        (workspace.root / "counts.py").write_text(PYTHON)
        (workspace.root / "works.py").write_text(ENDLESS)
        (workspace.root / "doubles.py").write_text(NOTEBOOK)
        (workspace.root / "broken.py").write_text(BROKEN)
        yield workspace


def test_a_notebook_and_a_python_file_work_on_the_spark_server_one_after_the_other(runs: Workspace) -> None:
    tasks = [
        {"task_key": "first", "spark_python_task": {"python_file": "counts.py", "parameters": ["10"]}},
        {
            "task_key": "second",
            "depends_on": [{"task_key": "first"}],
            "notebook_task": {"notebook_path": "/doubles", "base_parameters": {"count": "21"}},
        },
    ]
    run = runs.wait(runs.post("runs/submit", tasks=tasks)["run_id"])
    assert run["state"].get("result_state") == "SUCCESS", run
    first, second = (runs.output(task["run_id"]) for task in run["tasks"])
    assert "rows 45" in first["logs"]
    assert second["notebook_output"]["result"] == "42"
    assert "the notebook counts 21" in runs.page(f"/runs/{run['tasks'][1]['run_id']}")


def test_a_failing_cell_is_named_with_its_traceback(runs: Workspace) -> None:
    task = {"notebook_path": "broken"}
    run = runs.wait(runs.post("runs/submit", notebook_task=task)["run_id"])
    assert run["state"]["result_state"] == "FAILED"
    assert "cell 2: ZeroDivisionError: division by zero" in run["state"]["state_message"]
    output = runs.output(run["tasks"][0]["run_id"])
    assert "----> 1 1 / x" in output["error_trace"]


def test_sparks_error_in_a_python_file_is_its_runs_message(runs: Workspace) -> None:
    (runs.root / "wrong.py").write_text(PYTHON.replace("sum(id)", "sum(nothing)"))
    run = runs.wait(runs.submit("wrong.py", "10"))
    assert "exit code 1: pyspark.errors" in run["state"]["state_message"]
    assert "`nothing` cannot be resolved" in run["state"]["state_message"]


def test_a_cancelled_python_file_leaves_no_work_on_the_spark_server(
    runs: Workspace, fresh_lake_settings: Settings
) -> None:
    run_id = runs.submit("works.py")
    runs.wait_for_output(run_id, "begun")
    wait_until(lambda: bool(running_jobs(fresh_lake_settings)), 60, "Spark works for the task")
    runs.post("runs/cancel", run_id=run_id)
    assert runs.wait(run_id)["state"]["result_state"] == "CANCELED"
    wait_until(lambda: not running_jobs(fresh_lake_settings), 30, "Spark has stopped")
