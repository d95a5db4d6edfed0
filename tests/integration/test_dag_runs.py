"""The batch's DAG through Airflow's scheduler and API, on the workspace: what it does to the lake, and its faults.

The workspace's folder is the checkout's `spark` with a student's notebooks beside it.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import jobs
from playwright.sync_api import expect

from native.airflow import FOLDER
from pinline.airflow import USER, Airflow, DagRun
from pinline.settings import ROOT, Settings
from tests.fixtures import course
from tests.fixtures.airflow import dag_test
from tests.fixtures.backends import AIRFLOW, Stack, embedded_stack, free_port, unique_user_id, wait_until
from tests.fixtures.browser import Browser, needs_browser
from tests.fixtures.lake import Row, many_rows, put_all

pytestmark = [
    pytest.mark.integration,
    pytest.mark.faults,
    pytest.mark.timeout(1200),
]

DAG = ("-m", "pinline", "dag")
HOME = "Users/student@example.com"
_SILVER = " UNION ALL ".join(
    f"SELECT '{event}' AS event, count(*) AS rows, bit_xor(xxhash64(*)) AS content FROM silver.{event}"
    for event in ("pin", "geo", "user")
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with 300 events in its bucket."""
    folder = tmp_path_factory.mktemp("dag")
    root = folder / "workspace"
    shutil.copytree(ROOT / "spark", root, ignore=shutil.ignore_patterns("__pycache__"))
    user_id = unique_user_id()
    fill_in(course.FOLDER, root / HOME, user_id)
    services = ("s3", "spark", "workspace", *AIRFLOW)
    with embedded_stack(folder, *services, user_id=user_id, workspace_root=root) as running:
        put_all(running.settings, events(0, 300))
        yield running


@pytest.fixture(scope="module")
def filled(stack: Stack) -> Stack:
    """The stack, whose events a run has brought to gold."""
    if stack.run("-m", "lakehouse.results", check=False).returncode:
        stack.run(*DAG)
    return stack


@pytest.fixture(scope="module")
def beside(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of an Airflow beside the stack's: its database is its own."""
    folder = tmp_path_factory.mktemp("beside")
    return stack.settings.model_copy(update={"pinline_data": folder, "airflow_port": free_port()})


def fill_in(source: Path, target: Path, user_id: str) -> None:
    """Copy a student's files, with this stack's user id for theirs."""
    target.mkdir(parents=True)
    for file in source.glob("*.py"):
        (target / file.name.replace(course.STUDENT, user_id)).write_text(
            file.read_text().replace(course.STUDENT, user_id)
        )


def events(begin: int, end: int) -> dict[str, list[Row]]:
    """Return rows of the three tables, with counts of followers as the real ones: the course's code knows no 1.5k."""
    rows = {event: made[begin:end] for event, made in many_rows(end).items()}
    for pin in rows["pin"]:
        pin["follower_count"] = str(pin["follower_count"]).replace("1.5k", "15k")
    return rows


def lake(stack: Stack) -> tuple[str, str]:
    """What silver says, and the answers."""
    return stack.run("-m", "lakehouse.sql", _SILVER).stdout, answers(stack)


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


def wait_at_work(stack: Stack, *names: str) -> None:
    """Wait until one of the tasks of the run that goes on is at work on Databricks."""
    dag = f"{stack.settings.user_id}_dag"
    with Airflow(stack.settings) as airflow:

        def are_at_work() -> bool:
            tasks = [task for run in airflow.runs(dag) for task in airflow.tasks(run)]
            return any(task.name in names and task.state == "deferred" for task in tasks)

        wait_until(are_at_work, 180, f"{' or '.join(names)} is at work")


def test_a_run_goes_on_when_the_scheduler_the_workspace_and_spark_are_killed_under_it(stack: Stack) -> None:
    run = begin(stack)
    killed = {}
    for service, tasks in (
        ("airflow-scheduler", ("silver_pin", "silver_geo", "silver_user")),
        ("workspace", ("questions",)),
        ("spark", ("quality",)),
    ):
        wait_at_work(stack, *tasks)
        killed[service] = stack.kill(service)
    said, _ = run.communicate(timeout=480)
    assert run.returncode == 0, said
    assert "The answers: make results" in said
    for service, was in killed.items():
        stack.wait_ready(service, after=was)
    assert "nothing new" in stack.run("-m", "lakehouse.batch").stdout


def test_three_runs_in_a_row_give_the_tables_of_one(filled: Stack) -> None:
    first = lake(filled)
    assert "Aruba" in first[1]
    for _ in range(2):
        assert "nothing new" in filled.run(*DAG).stdout
    assert lake(filled) == first


def test_dag_test_runs_every_task(stack: Stack, beside: Settings) -> None:
    put_all(stack.settings, events(300, 400), first_offset=150)
    states = dag_test(beside, f"{stack.settings.user_id}_dag", FOLDER / "dags")
    skipped = {task for task, state in states.items() if state == "skipped"}
    assert skipped == {"empty"}, states
    assert {state for task, state in states.items() if task not in skipped} == {"success"}, states


def test_a_failed_quality_check_publishes_nothing_and_says_why_until_a_full_refresh_repairs_it(
    filled: Stack,
) -> None:
    stack, right = filled, lake(filled)
    twice = "INSERT INTO silver.user SELECT * FROM silver.user ORDER BY ind LIMIT 1"
    stack.run("-m", "lakehouse.sql", twice)
    done = stack.run(*DAG, check=False)
    assert done.returncode == 1
    assert "keys stand twice in silver.user" in done.stderr
    assert "/tasks/quality" in done.stderr
    assert answers(stack) == right[1]
    assert "The answers: make results" in stack.run(*DAG, "--full-refresh").stdout
    assert lake(stack) == right


def test_upkeep_leaves_every_row_and_answer(filled: Stack) -> None:
    stack, before = filled, lake(filled)
    dag = f"{stack.settings.user_id}_upkeep_dag"
    with Airflow(stack.settings) as airflow:
        run = airflow.trigger(dag, {})
        wait_until(lambda: airflow.run(dag, run.run).has_ended, 180, "upkeep has ended")
        assert airflow.run(dag, run.run).state == "success", states(stack, run)
    assert lake(stack) == before
    assert "nothing new" in stack.run("-m", "lakehouse.batch").stdout


def test_the_courses_dag_runs_the_courses_notebook(stack: Stack, beside: Settings, tmp_path: Path) -> None:
    settings = stack.settings
    course.upload_keys(settings)
    token = settings.databricks_token
    assert token is not None
    client = WorkspaceClient(host=settings.databricks_host, token=token.get_secret_value())
    mount = jobs.NotebookTask(notebook_path=f"/{HOME}/s3_bucket_to_databricks")
    mounted = client.jobs.submit(tasks=[jobs.SubmitTask(task_key="mount", notebook_task=mount)]).result()
    assert mounted.state is not None
    assert mounted.state.result_state is jobs.RunResultState.SUCCESS, mounted.state

    fill_in(course.FOLDER, tmp_path / "student", settings.user_id)
    dag = f"{settings.user_id}_dag"
    (tmp_path / "dags").mkdir()
    shutil.copy(tmp_path / "student" / f"{dag}.py", tmp_path / "dags")
    assert dag_test(beside, dag, tmp_path / "dags") == {"submit_run": "success"}
    popular = stack.run("-m", "lakehouse.sql", "SELECT count(*) AS rows FROM notebook.most_popular_category").stdout
    assert re.search(r"[1-9]", popular), popular


@needs_browser
def test_what_a_person_sees_of_the_runs(stack: Stack, browser: Browser) -> None:
    said = stack.run(*DAG).stdout
    address = re.search(r"http\S+", said)
    assert address is not None, said
    page, password = browser.page, stack.settings.airflow_password
    assert password is not None
    page.goto(address[0])
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(password.get_secret_value())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(address[0])
    expect(page.get_by_text("something_new").first).to_be_visible()
    browser.problems.clear()  # who isn't logged in is told so by 401

    page.goto(address[0])
    expect(page.get_by_text("something_new").first).to_be_visible()
    expect(page.get_by_text("Success").first).to_be_visible()
    browser.picture("airflow-run")
    page.goto(address[0].partition("/runs/")[0])
    expect(page.get_by_text("publish").first).to_be_visible()
    browser.picture("airflow-dag")

    page.goto(f"{stack.settings.databricks_host}/runs")
    browser.picture("workspace-runs")
    page.get_by_role("row").filter(has_text="quality").filter(has_text="failed").get_by_role("link").first.click()
    expect(page.get_by_text("keys stand twice in silver.user").first).to_be_visible()
    browser.picture("workspace-failed-step")
    page.goto(f"{stack.settings.databricks_host}/runs")
    page.get_by_role("row").filter(has_text="transform_and_query_batch_data").filter(has_text="success").get_by_role(
        "link"
    ).first.click()
    expect(page.get_by_role("heading", name="Notebook", exact=True)).to_be_visible()
    browser.picture("workspace-notebook")
    assert browser.problems == []
