"""`dbutils.notebook`: end this notebook with a value, or run another one as a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pinline.errors import DeadlineError, PinlineError
from workspace.notebook.document import read

_END_SECONDS = 12


class NotebookExit(BaseException):  # it is no error, and no `except Exception` may stop it
    """Ends the notebook with a value, its text."""


class Notebook:
    """`dbutils.notebook`. `find` gives the file of a notebook's path."""

    def __init__(self, find: Callable[[str], Path]) -> None:
        self._find = find

    def exit(self, value: object = "") -> None:
        """End the notebook; the value is the run's."""
        raise NotebookExit(str(value))

    def run(self, path: str, timeout_seconds: float = 0, arguments: Mapping[str, object] | None = None) -> str:
        """Run another notebook to its end; return what it exits with ("" if it doesn't).

        It has a session and variables of its own. Raises PinlineError when it fails, DeadlineError after
        `timeout_seconds` (0: never).
        """
        notebook = self._find(path)
        read(notebook)
        with tempfile.TemporaryDirectory(prefix="notebook-run-") as folder:
            result = _run(notebook, Path(folder), timeout_seconds, arguments or {})
        if result["state"] != "SUCCESS":
            place = "" if result["cell"] is None else f" in cell {result['cell'] + 1}"
            raise PinlineError(f"the notebook {path} failed{place}: {result['error']}\n{result['traceback'] or ''}")
        return str(result["exit"] or "")


def _run(notebook: Path, folder: Path, seconds: float, arguments: Mapping[str, object]) -> dict[str, Any]:
    parameters, result = folder / "parameters.json", folder / "result.json"
    parameters.write_text(json.dumps({name: str(value) for name, value in arguments.items()}), encoding="utf-8")
    command = [sys.executable, "-m", "workspace.notebook", str(notebook), "--parent", str(os.getpid())]
    command += ["--parameters", str(parameters), "--result", str(result)]
    command += ["--output", str(folder / "output.ipynb"), "--events", str(folder / "events.jsonl")]
    # a session of its own: what interrupts this kernel doesn't kill it before it has ended its Spark work
    process = subprocess.Popen(command, start_new_session=True, env=_outside(os.environ))
    try:
        process.wait(seconds or None)
    except subprocess.TimeoutExpired:
        raise DeadlineError(f"the notebook {notebook.name} was still running after {seconds:g} s") from None
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if not result.exists():
        raise PinlineError(f"the notebook {notebook.name} was killed")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def _outside(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without this kernel's session."""
    remote = environment.get("SPARK_REMOTE", "")
    server = remote.partition(";user_id=notebook;session_id=")[0].removesuffix("/")
    return {**environment, "SPARK_REMOTE": server}
