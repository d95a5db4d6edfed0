"""Runs of notebooks that need no Spark: how they end, and what is left of them."""

from pathlib import Path

import psutil
import pytest

from tests.fixtures.backends import wait_until
from tests.fixtures.notebooks import StartNotebook

pytestmark = [pytest.mark.integration, pytest.mark.faults]

NEXT = "\n\n# COMMAND ----------\n\n"


def test_cells_run_in_turn_with_the_parameters_and_the_exit_value_is_the_runs(start_notebook: StartNotebook) -> None:
    cells = [
        "# MAGIC %md\n# MAGIC # A title",
        'dbutils.widgets.text("name", "nobody")\ndbutils.widgets.text("other", "default")',
        'print("hello", dbutils.widgets.get("name"), dbutils.widgets.get("other"))',
        'dbutils.notebook.exit("it\'s done: é")',
        "print('never')",
    ]
    run = start_notebook(NEXT.join(cells), parameters={"name": "Bo"}).wait().succeeded()
    assert run.result == {"state": "SUCCESS", "exit": "it's done: é", "error": None, "traceback": None, "cell": None}
    assert run.text == "hello Bo default\nNotebook exited: it's done: é\n"
    told = [(event["cell"], event["what"]) for event in run.events if event["what"] in ("start", "end")]
    assert told == [(index, what) for index in (1, 2, 3) for what in ("start", "end")]
    assert run.notebook.cells[0].source.startswith("# A title")
    assert run.notebook.cells[2].outputs[0].text == "hello Bo default\n"


def test_a_failing_cell_ends_the_run_with_its_traceback(start_notebook: StartNotebook) -> None:
    run = start_notebook(NEXT.join(["x = 0", "1 / x", "print('never')"])).wait()
    assert (run.code, run.result["state"], run.result["cell"]) == (1, "FAILED", 1)
    assert run.result["error"] == "ZeroDivisionError: division by zero"
    assert "----> 1 1 / x" in run.result["traceback"]
    assert run.notebook.cells[1].outputs[0].output_type == "error"
    assert "never" not in run.text


def test_a_syntax_error_is_of_its_cell(start_notebook: StartNotebook) -> None:
    run = start_notebook(NEXT.join(["print('first')", "print("])).wait()
    assert (run.code, run.result["cell"]) == (1, 1)
    assert run.result["error"].startswith("_IncompleteInputError") or "SyntaxError" in run.result["error"]
    assert run.text == "first\n"


def test_a_notebook_that_prints_without_end_is_cut(start_notebook: StartNotebook) -> None:
    cells = ["for _ in range(100):\n    print('x' * 1_000_000)", "print('goes on')\n1 / 0"]
    run = start_notebook(NEXT.join(cells)).wait()
    assert (run.result["state"], run.result["cell"]) == ("FAILED", 1)
    assert "the output is cut here: 10 MB" in run.notebook.cells[0].outputs[-1].text[-100:]
    sizes = {file.name: file.stat().st_size for file in run.folder.iterdir()}
    assert all(size < 11 * 2**20 for size in sizes.values()), sizes


def test_an_endless_cell_that_ignores_interrupts_is_cancelled(start_notebook: StartNotebook) -> None:
    stubborn = (
        "print('begun')\nwhile True:\n    try:\n        while True: pass\n    except KeyboardInterrupt:\n        pass"
    )
    run = start_notebook(stubborn)
    run.wait_for("output", "begun")
    run.cancel()
    assert (run.code, run.result["state"], run.result["cell"]) == (1, "CANCELED", 0)
    assert run.notebook.cells[0].outputs[0].text == "begun\n"


def test_a_kernel_that_dies_fails_the_run(start_notebook: StartNotebook) -> None:
    run = start_notebook("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)").wait()
    assert (run.code, run.result["error"]) == (1, "the kernel died: it was killed, or memory ran out")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("missing.ipynb", None, "Is the path right?"),
        ("broken.ipynb", "{", "it is no valid .ipynb"),
        ("plain.py", "print(1)", "begins with the line '# Databricks notebook source'"),
    ],
)
def test_what_is_no_notebook_is_refused(
    start_notebook: StartNotebook, tmp_path: Path, name: str, text: str | None, expected: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    run = start_notebook(tmp_path / name).wait()
    assert run.code == 2
    assert expected in run.result["error"]


def test_a_notebook_that_another_one_runs_ends_with_it(start_notebook: StartNotebook, tmp_path: Path) -> None:
    child = "import os, time\nopen(dbutils.widgets.get('file'), 'w').write(str(os.getpid()))\nwhile True: time.sleep(1)"
    (tmp_path / "child.py").write_text(f"# Databricks notebook source\n{child}")
    file = tmp_path / "pid"
    run = start_notebook(f'dbutils.notebook.run("child", 0, {{"file": "{file}"}})')
    wait_until(lambda: file.exists() and bool(file.read_text()), 60, "the other notebook runs")
    run.cancel()
    assert run.result["state"] == "CANCELED"
    wait_until(lambda: not psutil.pid_exists(int(file.read_text())), 30, "the other notebook's kernel has ended")


REFUSED = """
def told(work, *arguments):
    try:
        work(*arguments)
    except BaseException as error:
        print(error)

told(get_ipython().run_line_magic, "run", "../elsewhere")
told(dbutils.notebook.run, "/../../etc/passwd", 10)
told(dbutils.notebook.run, "missing", 10)
told(get_ipython().run_line_magic, "pip", "install requests")
told(get_ipython().run_cell_magic, "scala", "", "val x = 1")
told(lambda: spark.range(3))
"""


def test_notebooks_outside_of_the_workspace_and_other_languages_are_refused(start_notebook: StartNotebook) -> None:
    run = start_notebook(REFUSED).wait().succeeded()
    lines = run.text.splitlines()
    assert [" is outside of the workspace's folder " in line for line in lines[:3]] == [True, True, False]
    assert "there is no" in lines[2]
    assert "%pip does not work here: packages are pinned" in lines[3]
    assert "notebooks are Python and SQL here" in lines[4]
    assert "SPARK_REMOTE is not set" in run.text
