"""The DAG files, as Airflow reads them: they import, and have the shape that the steps need."""

import ast
from typing import Any

import pytest

from native.airflow import FOLDER
from pinline.settings import ROOT, Settings
from tests.fixtures.airflow import in_airflow

pytestmark = pytest.mark.unit

FILES = sorted((FOLDER / "dags").glob("*.py"))


@pytest.fixture
def found(airflow_settings: Settings) -> Any:
    return in_airflow(airflow_settings, "describe.py", FOLDER / "dags")


def test_both_dags_are_found_and_shaped_as_the_steps_need(found: Any, airflow_settings: Settings) -> None:
    user = airflow_settings.user_id
    assert found["errors"] == {}
    assert set(found["dags"]) == {f"{user}_dag", f"{user}_upkeep_dag"}

    batch = found["dags"][f"{user}_dag"]
    assert (batch["schedule"], batch["catchup"], batch["max_active_runs"]) == ("0 0 * * *", False, 1)
    assert batch["params"] == {"full_refresh": False}
    tasks = batch["tasks"]
    silver = ["silver_geo", "silver_pin", "silver_user"]
    assert {name: task["upstream"] for name, task in tasks.items()} == {
        "full_refresh": [],
        "empty": ["full_refresh"],
        "check": ["empty"],
        "something_new": ["check"],
        **{name: ["something_new"] for name in silver},
        "questions": silver,
        "quality": ["questions"],
        "publish": ["quality"],
    }
    assert len(tasks["publish"]["outlets"]) == 9
    for name, task in {**tasks, **found["dags"][f"{user}_upkeep_dag"]["tasks"]}.items():
        assert task["retries"] > 0, name
        if task["json"]:
            assert task["deferrable"], name
            assert task["polling"] <= 5, name
            place = task["json"]["spark_python_task"]["python_file"]
            assert (ROOT / "spark" / place.removeprefix("{{ var.value.notebook_root }}/")).is_file(), name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_file_imports_airflow_and_its_provider_only(file: Any) -> None:
    imported = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported == {"airflow", "datetime"}


def test_mwaas_requirements_are_the_versions_that_run_here() -> None:
    pinned = (ROOT / "requirements" / "airflow.txt").read_text()
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert len(wanted) == 2
    for line in wanted:
        assert f"\n{line} " in pinned
