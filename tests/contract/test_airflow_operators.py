"""The provider's operators against the workspace, unmodified, in Airflow's own environment."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pinline.settings import Settings
from tests.fixtures.airflow import run_operators
from tests.fixtures.workspace import Workspace

pytestmark = [pytest.mark.contract, pytest.mark.timeout(400)]

NOTEBOOK = """# Databricks notebook source
print("hello", dbutils.widgets.get("who"))
dbutils.notebook.exit("done with " + dbutils.widgets.get("who"))
"""
BOTH = (False, True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Airflow's database is; to make it takes longer than a task."""
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture
def at_workspace(airflow_settings: Settings, workspace: Workspace, data: Path) -> Settings:
    """Airflow's settings with the workspace as its Databricks."""
    host = {"databricks_host": workspace.url, "databricks_token": workspace.settings.databricks_token}
    return airflow_settings.model_copy(update={**host, "pinline_data": data})


def task(name: str, operator: str, *, deferrable: bool, **arguments: Any) -> dict[str, Any]:
    arguments |= {"deferrable": deferrable, "databricks_retry_delay": 1}
    return {"task_id": f"{name}_{deferrable}", "operator": f"Databricks{operator}Operator", "arguments": arguments}


def test_submit_run_run_now_and_notebook_work_deferred_and_not(
    at_workspace: Settings, workspace: Workspace, tmp_path: Path
) -> None:
    (workspace.root / "greet.py").write_text(NOTEBOOK)
    file = {"python_file": "hello.py", "parameters": ["submitted"]}
    work = {"task_key": "main", "spark_python_task": {"python_file": "hello.py", "parameters": ["nobody"]}}
    job_id = workspace.post("create", name="of airflow", tasks=[work])["job_id"]
    notebook = {"notebook_path": "/greet", "source": "WORKSPACE", "notebook_params": {"who": "Airflow"}}
    states = run_operators(
        at_workspace,
        tmp_path,
        [
            made
            for deferrable in BOTH
            for made in (
                task("submit", "SubmitRun", deferrable=deferrable, json={"spark_python_task": file}),
                task("now", "RunNow", deferrable=deferrable, job_name="of airflow", python_params=["now"]),
                task("notebook", "Notebook", deferrable=deferrable, existing_cluster_id="any", **notebook),
            )
        ],
    )
    assert set(states.values()) == {"success"}, states
    now = [workspace.output(found["run_id"]) for found in workspace.get("runs/list", job_id=job_id)["runs"]]
    assert [output["logs"] for output in now] == ["hello now\n"] * 2
    recent = workspace.get("runs/list", limit=10, expand_tasks=True)["runs"]
    outputs = [workspace.output(found["tasks"][0]["run_id"]) for found in recent]
    assert [output.get("notebook_output", {}).get("result") for output in outputs].count("done with Airflow") == 2
    assert [output.get("logs") for output in outputs].count("hello submitted\n") == 2


def test_what_fails_here_fails_the_task(at_workspace: Settings, workspace: Workspace, tmp_path: Path) -> None:
    (workspace.root / "bad_notebook.py").write_text("# Databricks notebook source\n1 / 0\n")
    notebook = {"notebook_path": "/bad_notebook", "source": "WORKSPACE", "existing_cluster_id": "any"}
    states = run_operators(
        at_workspace,
        tmp_path,
        [
            made
            for deferrable in BOTH
            for made in (
                task(
                    "file", "SubmitRun", deferrable=deferrable, json={"spark_python_task": {"python_file": "fails.py"}}
                ),
                task("missing", "SubmitRun", deferrable=deferrable, json={"notebook_task": {"notebook_path": "/none"}}),
                task("notebook", "Notebook", deferrable=deferrable, **notebook),
            )
        ],
    )
    assert set(states.values()) == {"failed"}, states


def test_a_wrong_token_fails_the_task(at_workspace: Settings, tmp_path: Path) -> None:
    wrong = at_workspace.model_copy(update={"databricks_token": SecretStr("wrong")})
    job = {"spark_python_task": {"python_file": "hello.py"}}
    states = run_operators(
        wrong, tmp_path, [task("submit", "SubmitRun", deferrable=deferrable, json=job) for deferrable in BOTH]
    )
    assert states == {"submit_False": "failed", "submit_True": "failed"}
