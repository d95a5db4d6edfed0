"""The batch through Airflow and the workspace, beside the batch by itself; what a task costs; their memory."""

import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import SparkPythonTask, SubmitTask

from bench.batch import batch, from_nothing, post
from bench.figures import Goal, Row, Size
from bench.processes import shared_megabytes
from native.supervise import Supervisor
from pinline.settings import ROOT, secret
from tests.fixtures.backends import AIRFLOW, BATCH_PATH, Stack, embedded_stack

_FILE = "what_time_is_it.py"
_TASKS = 5


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield seconds of runs with everything new and nothing new, of a task's start, and megabytes."""
    few = max(1, round(size.events / 100))
    root = folder / "workspace"
    shutil.copytree(ROOT / "spark", root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / _FILE).write_text("import time\nprint(time.time())\n")
    with embedded_stack(folder, *BATCH_PATH, "workspace", *AIRFLOW, workspace_root=root) as stack:
        stack.run("-m", "seed_data", "--events", str(size.events + few))
        post(stack, few)
        dag(stack)
        post(stack, size.events)
        new = dag(stack)
        nothing = min(dag(stack, is_new=False) for _ in range(3))
        overhead = statistics.median(_overhead(stack) for _ in range(_TASKS))
        used = memory(stack)
        alone_nothing = min(batch(stack, is_new=False)[0] for _ in range(2))
        alone, _ = from_nothing(stack)
    peer = "make batch"
    yield Row("dag", f"make dag, {size.events:,} new events", new, "s", peer, alone, Goal(most=120))
    yield Row("dag", "make dag, nothing new", nothing, "s", peer, alone_nothing, Goal(most=45))
    yield Row("dag", "from a submission to the file's first line", overhead, "s", goal=Goal(most=5))
    yield Row("dag", "memory of Airflow and the workspace", used, "MB", goal=Goal(most=1536))


def dag(stack: Stack, *, is_new: bool = True) -> float:
    """Run the DAG; return its seconds, those of starting Python included."""
    begun = time.perf_counter()
    said = stack.run("-m", "pinline", "dag", seconds=1800).stdout
    spent = time.perf_counter() - begun
    if ("nothing new" in said) is is_new:
        raise RuntimeError(f"the DAG was to find {'something' if is_new else 'nothing'} new:\n{said}")
    return spent


def memory(stack: Stack) -> float:
    """Return the megabytes of Airflow and the workspace, with their children."""
    programs = Supervisor(stack.settings).programs()
    parents = [psutil.Process(programs[name].pid) for name in ("workspace", *AIRFLOW)]
    return shared_megabytes(process for parent in parents for process in (parent, *parent.children(recursive=True)))


def _overhead(stack: Stack) -> float:
    """Return the seconds from a submission until the file is at work."""
    client = WorkspaceClient(
        host=stack.settings.databricks_host, token=secret(stack.settings.databricks_token, "DATABRICKS_TOKEN")
    )
    task = SubmitTask(task_key="time", spark_python_task=SparkPythonTask(python_file=_FILE))
    begun = time.time()
    run = client.jobs.submit(tasks=[task]).result()
    said = client.jobs.get_run_output((run.tasks or [])[0].run_id or 0).logs or ""
    return float(said.split()[-1]) - begun
