"""The batch's DAG through Airflow's scheduler and API, on the workspace: what it does to the lake, and its faults."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from native.services import SERVICES
from pinline.airflow import Airflow, DagRun
from pinline.settings import ROOT
from tests.fixtures.backends import AIRFLOW, Stack, embedded_stack, wait_until
from tests.fixtures.lake import many_rows, put_all

pytestmark = [
    pytest.mark.integration,
    pytest.mark.faults,
    pytest.mark.skipif("workspace" not in SERVICES, reason="there is no workspace to run the DAG's jobs"),
]

DAG = ("-m", "pinline", "dag")
_SILVER = " UNION ALL ".join(
    f"SELECT '{event}' AS event, count(*) AS rows, bit_xor(xxhash64(*)) AS content FROM silver.{event}"
    for event in ("pin", "geo", "user")
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with 300 events in its bucket, which one run has brought to gold."""
    with embedded_stack(tmp_path_factory.mktemp("dag"), "s3", "spark", "workspace", *AIRFLOW) as running:
        put_all(running.settings, many_rows(300))
        done = running.run(*DAG)
        assert "The answers: make results" in done.stdout
        yield running


def lake(stack: Stack) -> str:
    """All that silver and gold say."""
    return stack.run("-m", "lakehouse.sql", _SILVER).stdout + answers(stack)


def answers(stack: Stack) -> str:
    return stack.run("-m", "lakehouse.results", "--format", "json").stdout


def states(stack: Stack, run: DagRun) -> dict[str, str]:
    with Airflow(stack.settings) as airflow:
        return {task.name: task.state for task in airflow.tasks(run)}


def begin(stack: Stack) -> "subprocess.Popen[str]":
    """`make dag` in the background."""
    return subprocess.Popen(
        [sys.executable, *DAG], cwd=ROOT, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def running_task(stack: Stack, *names: str) -> bool:
    """Whether one of the tasks of the run that goes on is at work on Databricks."""
    with Airflow(stack.settings) as airflow:
        for run in airflow.runs(f"{stack.settings.user_id}_dag"):
            return any(task.name in names and task.state == "deferred" for task in airflow.tasks(run))
    return False


def test_three_runs_in_a_row_give_the_tables_of_one(stack: Stack) -> None:
    first = lake(stack)
    assert "Aruba" in first
    for _ in range(2):
        assert "nothing new" in stack.run(*DAG).stdout
    assert lake(stack) == first


def test_a_killed_scheduler_delays_a_run_and_changes_nothing(stack: Stack) -> None:
    more = {event: rows[300:] for event, rows in many_rows(400).items()}
    put_all(stack.settings, more, first_offset=150)
    run = begin(stack)
    wait_until(lambda: running_task(stack, "silver_pin", "silver_geo", "silver_user"), 120, "silver is at work")
    killed = stack.kill("airflow-scheduler")
    stack.wait_ready("airflow-scheduler", after=killed)
    said, _ = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert "nothing new" in stack.run("-m", "lakehouse.batch").stdout


def test_a_failed_quality_check_publishes_nothing_and_says_why_until_a_full_refresh_repairs_it(stack: Stack) -> None:
    before, right = answers(stack), lake(stack)
    twice = "INSERT INTO silver.user SELECT * FROM silver.user ORDER BY ind LIMIT 1"
    stack.run("-m", "lakehouse.sql", twice)
    done = stack.run(*DAG, check=False)
    assert done.returncode == 1
    assert "keys stand twice in silver.user" in done.stderr
    assert "/tasks/quality" in done.stderr
    assert answers(stack) == before
    assert "The answers: make results" in stack.run(*DAG, "--full-refresh").stdout
    assert lake(stack) == right


def test_upkeep_leaves_every_row_and_answer(stack: Stack) -> None:
    before = lake(stack)
    dag = f"{stack.settings.user_id}_upkeep_dag"
    with Airflow(stack.settings) as airflow:
        run = airflow.trigger(dag, {})
        wait_until(lambda: airflow.run(dag, run.run).has_ended, 180, "upkeep has ended")
        assert airflow.run(dag, run.run).state == "success", states(stack, run)
    assert lake(stack) == before
    assert "nothing new" in stack.run(*DAG).stdout
