"""The Jobs API as its clients know it: runs, jobs, errors, tokens, pages of lists."""

from pathlib import Path

import httpx
import psutil
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service import jobs

from tests.fixtures.backends import wait_until
from tests.fixtures.workspace import TOKEN, Workspace, serving
from workspace.store import Store, now

pytestmark = pytest.mark.contract


def test_a_python_file_runs_with_its_parameters_and_its_output_is_kept(workspace: Workspace) -> None:
    run_id = workspace.submit("/Workspace/hello.py", "big", "world", run_name="greet", existing_cluster_id="any")
    run = workspace.wait(run_id)
    assert run["state"]["life_cycle_state"] == "TERMINATED"
    assert run["state"]["result_state"] == "SUCCESS"
    assert run["status"]["termination_details"]["code"] == "SUCCESS"
    assert run["run_page_url"] == f"{workspace.url}/runs/{run_id}"
    assert run["run_name"] == "greet"
    assert run["tasks"][0]["existing_cluster_id"] == "any"
    assert workspace.output(run["tasks"][0]["run_id"])["logs"] == "hello big world\n"
    assert "hello big world" in workspace.page(f"/runs/{run_id}")


def test_the_one_task_of_a_submission_is_named_after_its_run(workspace: Workspace) -> None:
    run = workspace.wait(workspace.submit("hello.py", run_name="3 greetings, at 10:00"))
    assert [task["task_key"] for task in run["tasks"]] == ["3_greetings__at_10_00"]


def test_a_failing_file_says_its_last_line_and_its_traceback(workspace: Workspace) -> None:
    run = workspace.wait(workspace.submit("fails.py"))
    assert run["state"]["result_state"] == "FAILED"
    assert run["state"]["state_message"].endswith("the process ended with exit code 1: ValueError: boom")
    output = workspace.output(run["tasks"][0]["run_id"])
    assert output["error"].endswith("ValueError: boom")
    assert "Traceback (most recent call last)" in output["error_trace"]


def test_a_get_may_have_its_content_as_json_as_airflows_deferred_tasks_send_it(workspace: Workspace) -> None:
    run_id = workspace.submit("hello.py")
    for version in ("2.1", "2.2"):
        answer = workspace.client.request(
            "GET", f"{workspace.url}/api/{version}/jobs/runs/get", json={"run_id": run_id}
        )
        assert answer.json()["run_id"] == run_id


def test_a_task_starts_when_those_it_depends_on_succeeded_and_not_after_a_failure(workspace: Workspace) -> None:
    def task(key: str, file: str, *needs: str) -> dict[str, object]:
        after = [{"task_key": need} for need in needs]
        return {
            "task_key": key,
            "spark_python_task": {"python_file": file},
            "depends_on": after,
            "run_if": "ALL_SUCCESS",
        }

    tasks = [task("last", "hello.py", "bad", "good"), task("good", "hello.py"), task("bad", "fails.py", "good")]
    run = workspace.wait(workspace.post("runs/submit", tasks=tasks)["run_id"])
    assert run["state"]["result_state"] == "FAILED"
    ended = {task["task_key"]: task for task in run["tasks"]}
    assert {key: task["state"]["result_state"] for key, task in ended.items()} == {
        "good": "SUCCESS",
        "bad": "FAILED",
        "last": "UPSTREAM_FAILED",
    }
    assert ended["bad"]["start_time"] >= ended["good"]["end_time"]
    answer = workspace.client.get("runs/get-output", params={"run_id": run["run_id"]})
    assert answer.status_code == 400
    assert "multiple tasks" in answer.json()["message"]


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [({}, 401, "UNAUTHENTICATED"), ({"authorization": "Bearer wrong"}, 403, "PERMISSION_DENIED")],
)
def test_a_request_without_the_token_is_refused(
    workspace: Workspace, header: dict[str, str], status: int, code: str
) -> None:
    answer = httpx.get(f"{workspace.url}/api/2.2/jobs/list", headers=header)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"dbt_task": {"commands": []}}, "dbt_task"),
        ({"spark_python_task": {"python_file": "hello.py"}, "git_source": {}}, "git_source"),
        ({"spark_python_task": {"python_file": "hello.py", "source": "GIT"}}, "source"),
        ({"spark_python_task": {"python_file": "hello.py"}, "libraries": [{"pypi": {}}]}, "libraries"),
        ({"spark_python_task": {"python_file": "../secret.py"}}, "outside of the workspace"),
        ({"spark_python_task": {"python_file": "/etc/../../passwd"}}, "outside of the workspace"),
        ({"tasks": [{"task_key": "a", "run_job_task": {"job_id": 1}}]}, "run_job_task"),
        ({"tasks": []}, "no task"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(
    workspace: Workspace, content: dict[str, object], named: str
) -> None:
    answer = workspace.client.post("runs/submit", json=content)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert named in answer.json()["message"]


def test_tasks_that_wait_for_each_other_are_refused(workspace: Workspace) -> None:
    file = {"python_file": "hello.py"}
    tasks = [
        {"task_key": one, "spark_python_task": file, "depends_on": [{"task_key": other}]} for one, other in ("ab", "ba")
    ]
    answer = workspace.client.post("runs/submit", json={"tasks": tasks})
    assert "in a circle" in answer.json()["message"]


def test_a_file_that_is_not_there_ends_the_run_with_its_path(workspace: Workspace) -> None:
    run = workspace.wait(workspace.submit("missing.py"))
    assert run["state"]["life_cycle_state"] == "INTERNAL_ERROR"
    assert run["state"]["result_state"] == "FAILED"
    assert "missing.py" in run["state"]["state_message"]


def test_the_same_idempotency_token_gives_the_same_run(workspace: Workspace) -> None:
    first = workspace.submit("hello.py", idempotency_token="once")
    assert workspace.submit("hello.py", idempotency_token="once") == first
    assert workspace.submit("hello.py", idempotency_token="twice") != first


def test_a_cancelled_run_ends_with_all_its_processes(workspace: Workspace, tmp_path: Path) -> None:
    note = f"{tmp_path}/child"
    run_id = workspace.submit("endless_child.py", note)
    wait_until(lambda: _pid(note) > 0, 30, "the child began")
    child = _pid(note)
    workspace.post("runs/cancel", run_id=run_id)
    run = workspace.wait(run_id)
    assert run["state"]["life_cycle_state"] == "TERMINATED"
    assert run["state"]["result_state"] == "CANCELED"
    assert run["state"]["user_cancelled_or_timedout"]
    assert not _lives(child)


def test_a_run_and_a_task_have_each_a_time_limit(workspace: Workspace) -> None:
    of_run = workspace.submit("endless.py", timeout_seconds=1)
    task = {"task_key": "slow", "spark_python_task": {"python_file": "endless.py"}, "timeout_seconds": 1}
    of_task = workspace.post("runs/submit", tasks=[task])["run_id"]
    for run_id in (of_run, of_task):
        run = workspace.wait(run_id)
        assert run["state"]["result_state"] == "TIMEDOUT"
        assert "timeout_seconds, 1" in run["state"]["state_message"]


def test_a_file_that_prints_100_mb_fills_neither_disk_nor_answer(workspace: Workspace) -> None:
    run = workspace.wait(workspace.submit("loud.py"))
    output = workspace.output(run["tasks"][0]["run_id"])
    assert output["logs"].endswith("the end\n")
    assert "the output is cut here" in output["logs"]
    assert output["logs_truncated"]
    folder = workspace.settings.pinline_data / "workspace" / "runs" / str(run["tasks"][0]["run_id"])
    assert sum(file.stat().st_size for file in folder.iterdir()) < 11 * 2**20


def test_a_job_is_made_listed_run_with_parameters_and_deleted(workspace: Workspace) -> None:
    task = {"task_key": "greet", "spark_python_task": {"python_file": "hello.py", "parameters": ["nobody"]}}
    job_id = workspace.post("create", name="greeting", tasks=[task])["job_id"]
    assert [job["job_id"] for job in workspace.get("list", name="greeting", include_user_names=False)["jobs"]] == [
        job_id
    ]
    run_id = workspace.post("run-now", job_id=job_id, python_params=["you"])["run_id"]
    run = workspace.wait(run_id)
    assert (run["job_id"], run["run_type"]) == (job_id, "JOB_RUN")
    assert workspace.output(run_id)["logs"] == "hello you\n"
    assert [run["run_id"] for run in workspace.get("runs/list", job_id=job_id)["runs"]] == [run_id]
    workspace.post("delete", job_id=job_id)
    answer = workspace.client.get("get", params={"job_id": job_id})
    assert (answer.status_code, answer.json()["message"]) == (400, f"Job {job_id} does not exist.")


def test_lists_come_in_pages_that_lead_to_each_other(workspace: Workspace) -> None:
    task = {"task_key": "greet", "spark_python_task": {"python_file": "hello.py"}}
    made = [workspace.post("create", name="paged", tasks=[task])["job_id"] for _ in range(5)]
    found, token = [], {}
    while True:
        page = workspace.get("list", name="paged", limit=2, **token)
        found += [job["job_id"] for job in page["jobs"]]
        if not page["has_more"]:
            break
        token = {"page_token": page["next_page_token"]}
    assert found == made[::-1]


def test_after_a_kill_a_run_at_work_has_failed_and_says_why_and_one_that_waited_goes_on(
    own_workspace: Workspace, tmp_path: Path
) -> None:
    note = tmp_path / "child"
    at_work = own_workspace.submit("endless_child.py", str(note))
    wait_until(lambda: _pid(str(note)) > 0, 30, "the task has begun")
    waiting = own_workspace.submit("hello.py", "later")
    own_workspace.wait(waiting, "QUEUED")
    own_workspace.kill()
    own_workspace.start()
    lost = own_workspace.wait(at_work)
    assert lost["state"]["life_cycle_state"] == "INTERNAL_ERROR"
    assert "the workspace service ended while it was at work" in lost["state"]["state_message"]
    assert not psutil.pid_exists(_pid(str(note)))
    assert own_workspace.wait(waiting)["state"]["result_state"] == "SUCCESS"
    assert own_workspace.output(waiting)["logs"] == "hello later\n"


def test_runs_are_forgotten_with_what_they_left_sixty_days_after_they_ended(own_workspace: Workspace) -> None:
    old, recent = own_workspace.submit("hello.py", "old"), own_workspace.submit("hello.py", "recent")
    (task,) = own_workspace.wait(old)["tasks"]
    own_workspace.wait(recent)
    data = own_workspace.settings.pinline_data / "workspace"
    folder = data / "runs" / str(task["run_id"])
    assert folder.is_dir()
    own_workspace.stop()
    Store(data / "workspace.sqlite").change(old, ended=now() - 61 * 86_400_000)
    own_workspace.start()
    wait_until(lambda: not folder.exists() and len(own_workspace.get("runs/list")["runs"]) == 1, 30, "it is forgotten")
    answer = own_workspace.client.get("runs/get", params={"run_id": old})
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert own_workspace.output(recent)["logs"] == "hello recent\n"
    assert own_workspace.wait(own_workspace.submit("hello.py"))["run_id"] > recent


def test_databricks_own_client_submits_waits_and_reads_the_output(workspace: Workspace) -> None:
    client = workspace.sdk
    task = jobs.SubmitTask(task_key="greet", spark_python_task=jobs.SparkPythonTask("hello.py", parameters=["sdk"]))
    run = client.jobs.submit(run_name="by the sdk", tasks=[task]).result()
    assert run.state
    assert run.state.result_state is jobs.RunResultState.SUCCESS
    assert run.status
    assert run.status.termination_details
    assert run.status.termination_details.code is jobs.TerminationCodeCode.SUCCESS
    assert run.tasks
    output = client.jobs.get_run_output(run.tasks[0].run_id or 0)
    assert output.logs == "hello sdk\n"
    assert run.run_id in [found.run_id for found in client.jobs.list_runs(completed_only=True)]


def test_databricks_own_client_makes_a_job_and_cancels_its_run(workspace: Workspace) -> None:
    client = workspace.sdk
    work = jobs.Task(task_key="endless", spark_python_task=jobs.SparkPythonTask("endless.py"))
    job = client.jobs.create(name="endless", tasks=[work], max_concurrent_runs=1)
    started = client.jobs.run_now(job.job_id or 0)
    workspace.wait(started.run_id, "RUNNING")
    client.jobs.cancel_run(started.run_id).result()
    run = client.jobs.get_run(started.run_id)
    assert run.state
    assert run.state.result_state is jobs.RunResultState.CANCELED
    assert [found.job_id for found in client.jobs.list(name="endless")] == [job.job_id]
    client.jobs.delete(job.job_id or 0)


def test_databricks_own_client_gets_its_own_errors(workspace: Workspace) -> None:
    with pytest.raises(ResourceDoesNotExist, match="Run 987654321 does not exist"):
        workspace.sdk.jobs.get_run(987654321)
    with pytest.raises(PermissionDenied):
        list(WorkspaceClient(host=workspace.url, token=TOKEN + "x").jobs.list())


def test_metrics_count_runs_and_a_foreign_host_name_is_refused(workspace: Workspace) -> None:
    workspace.wait(workspace.submit("hello.py"))
    assert 'workspace_runs_total{result="SUCCESS"}' in workspace.page("/metrics")
    answer = httpx.get(f"{workspace.url}/runs", headers={"host": "evil.example"})
    assert answer.status_code == 400


def test_pages_have_the_address_that_people_reach_and_the_workspace_answers_there(tmp_path: Path) -> None:
    with serving(tmp_path, workspace_pages_url="http://pages.example:8001") as workspace:
        run = workspace.wait(workspace.submit("hello.py"))
        assert run["run_page_url"] == f"http://pages.example:8001/runs/{run['run_id']}"
        page = httpx.get(f"{workspace.url}/runs/{run['run_id']}", headers={"host": "pages.example:8001"})
        assert page.status_code == 200


def _pid(file: str) -> int:
    note = Path(file)
    return int(note.read_text() or 0) if note.exists() else 0


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
