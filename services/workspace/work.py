"""What a task's process is: its command, its environment, its files; and how it ended, read from what it left."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinline import settings as pinline_settings
from pinline.errors import DataError
from pinline.settings import Settings
from workspace.notebook import document, sessions
from workspace.processes import MARKER
from workspace.store import Result, Run

PYTHON_GRACE_SECONDS = 5.0
NOTEBOOK_GRACE_SECONDS = 15.0
_TAIL = 16 * 2**10


@dataclass(frozen=True)
class Ended:
    """How a task's process ended."""

    result: Result
    error: str | None = None
    trace: str | None = None
    exit: str | None = None
    """What the notebook gave to `dbutils.notebook.exit`."""


@dataclass(frozen=True)
class Files:
    """What a task's run leaves, in a folder of its own."""

    folder: Path

    @property
    def log(self) -> Path:
        """What the process printed, bounded."""
        return self.folder / "output.log"

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.folder / "output.ipynb"

    @property
    def events(self) -> Path:
        """What happened in the notebook, a line of JSON each."""
        return self.folder / "events.jsonl"

    @property
    def result(self) -> Path:
        """How the notebook ended."""
        return self.folder / "result.json"

    @property
    def parameters(self) -> Path:
        """The values of the notebook's widgets."""
        return self.folder / "parameters.json"


def files(settings: Settings, task_run: int) -> Files:
    """Return the files of a task's run."""
    return Files(settings.pinline_data / "workspace" / "runs" / str(task_run))


def is_notebook(task: Run) -> bool:
    """Whether the task runs a notebook."""
    return bool(task.spec.get("notebook_task"))


def path_of(task: dict[str, Any]) -> str:
    """Return the path that a task names."""
    notebook = task.get("notebook_task")
    return str(notebook["notebook_path"] if notebook else task["spark_python_task"]["python_file"])


def find(settings: Settings, task: Run) -> Path:
    """Return the file that a task runs. Raises DataError when it isn't in the workspace."""
    root = settings.workspace_root
    if is_notebook(task):
        return document.find(root, path_of(task.spec), root)
    found = document.locate(root, path_of(task.spec), root)
    if not found.is_file():
        raise DataError(f"opening the Python file {path_of(task.spec)!r}: there is no {found}.")
    return found


def command(settings: Settings, run: Run, task: Run, file: Path, service: int) -> list[str]:
    """Return the command of a task's process; writes its parameters where it reads them. `service` is our pid."""
    if not is_notebook(task):
        given = run.spec.get("python_params")
        return [sys.executable, str(file), *(task.spec["spark_python_task"]["parameters"] if given is None else given)]
    left = files(settings, task.run_id)
    parameters = task.spec["notebook_task"]["base_parameters"] | run.spec.get("notebook_params", {})
    left.parameters.write_text(json.dumps(run.spec.get("job_parameters", {}) | parameters))
    made = [sys.executable, "-m", "workspace.notebook", str(file), "--output", str(left.notebook)]
    made += ["--result", str(left.result), "--events", str(left.events), "--parameters", str(left.parameters)]
    return [*made, "--parent", str(service)]


def environment(settings: Settings, task: Run) -> dict[str, str]:
    """Return the environment of a task's process: the settings', and a Spark session that is known here."""
    made = {
        **pinline_settings.environment(settings),
        MARKER: marker(settings, task.run_id),
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_PYTHON": sys.executable,
    }
    if settings.spark_remote and task.spark_session and not is_notebook(task):
        made["SPARK_REMOTE"] = sessions.url(settings, task.spark_session)
    return made


def marker(settings: Settings, task_run: int) -> str:
    """Return what the processes of a task's run are known by."""
    return str(files(settings, task_run).folder)


def ended(settings: Settings, task: Run, code: int) -> Ended:
    """Return how a process that ended by itself has ended."""
    left = files(settings, task.run_id)
    if is_notebook(task) and left.result.exists():
        found = json.loads(left.result.read_text())
        cell = "" if found["cell"] is None else f"cell {found['cell'] + 1}: "
        error = found["error"] and cell + found["error"]
        return Ended(found["state"], error, found["traceback"] or found["error"], found["exit"])
    if code == 0:
        return Ended("SUCCESS")
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    tail = tail_of(left.log)
    said = next((line for line in reversed(tail.splitlines()) if line.strip()), "it printed nothing")
    return Ended("FAILED", f"the process {how}: {said[:500]}", tail)


def tail_of(file: Path, size: int = _TAIL) -> str:
    """Return the end of a text file; empty if there is none."""
    if not file.exists():
        return ""
    with file.open("rb") as source:
        source.seek(max(0, file.stat().st_size - size))
        return source.read().decode(errors="replace")


def session_of(settings: Settings, task: Run) -> str | None:
    """Return the id of the task's Spark session, a notebook's from what it told."""
    if not is_notebook(task):
        return task.spark_session
    return next((event["text"] for event in events(settings, task.run_id) if event["what"] == "session"), None)


def events(settings: Settings, task_run: int) -> list[dict[str, Any]]:
    """Return what happened in a notebook so far."""
    file = files(settings, task_run).events
    if not file.exists():
        return []
    with file.open(encoding="utf-8", errors="replace") as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]
