"""`pinline dag`: run the batch through Airflow and watch its tasks; the exit code is the run's result."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from pinline.airflow import Airflow, DagRun, Task
from pinline.cli.console import out
from pinline.errors import DeadlineError, PinlineError, StateError, UnreachableError
from pinline.settings import Settings

_POLL_S = 1.0
_FOUND_S = 120.0
_AWAY_S = 120.0
_COLOURS = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "red",
    "up_for_retry": "yellow",
    "none": "dim",
    "skipped": "dim",
}
_WORDS = {"none": "waiting", "deferred": "running on Databricks", "up_for_retry": "failed, will be tried again"}


class RunFailedError(PinlineError):
    """A run of the DAG failed."""


Show = Callable[[DagRun, list[Task]], None]
"""Takes the run and its tasks as they are now."""


def run(settings: Settings, *, full_refresh: bool) -> None:
    """Start a run and follow it. Raises RunFailedError with each failed task's reason and the address of its log."""
    started = time.monotonic()
    with Airflow(settings) as airflow:
        name = f"{settings.user_id}_dag"
        _wait_until_known(airflow, name)
        others = airflow.runs(name)
        begun = airflow.trigger(name, {"full_refresh": full_refresh})
        out.print(f"run {begun.run}: {airflow.page(begun)}", soft_wrap=True, markup=False)
        if others:
            out.print(f"it begins when run {others[0].run} has ended", markup=False)
        ended, tasks = follow(airflow, begun)
        if ended.state == "failed":
            raise RunFailedError("\n".join(_failures(airflow, ended, tasks)))
    skipped = any(task.name == "publish" and task.state == "skipped" for task in tasks)
    said = "nothing new: silver and the answers are as S3 says" if skipped else "The answers: make results"
    out.print(f"done in {time.monotonic() - started:.1f} s. {said}")


def follow(airflow: Airflow, run: DagRun) -> tuple[DagRun, list[Task]]:
    """Show the run's tasks until it ends; an Airflow that is away for a while is waited for."""
    away_since: float | None = None
    with _display() as show:
        while True:
            try:
                run = airflow.run(run.dag, run.run)
                tasks = _in_order(airflow.tasks(run))
            except UnreachableError:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > _AWAY_S:
                    raise
            else:
                away_since = None
                show(run, tasks)
                if run.has_ended:
                    return run, tasks
            time.sleep(_POLL_S)


def _wait_until_known(airflow: Airflow, name: str) -> None:
    deadline = time.monotonic() + _FOUND_S
    while not airflow.knows(name):
        if errors := airflow.import_errors():
            raise StateError(f"Airflow can't read a DAG file:\n{errors[0]}")
        if time.monotonic() > deadline:
            raise DeadlineError(
                f"Airflow does not know {name} after {_FOUND_S:.0f} s. Try: make logs SERVICE=airflow-dags"
            )
        time.sleep(_POLL_S)


def _in_order(tasks: Iterable[Task]) -> list[Task]:
    """Tasks in the order in which they began, those that wait last."""
    return sorted(tasks, key=lambda task: (task.started_at is None, task.started_at or datetime.now(UTC)))


def _failures(airflow: Airflow, run: DagRun, tasks: list[Task]) -> Iterator[str]:
    yield f"run {run.run} failed:"
    for task in tasks:
        if task.state == "failed":
            yield f"  {task.name}: {airflow.reason(run, task)}"
            yield f"  its log: {airflow.page(run, task)}"


@contextmanager
def _display() -> Iterator[Show]:
    """Show each task's state: a table that changes on a terminal, a line a change otherwise."""
    if out.is_terminal:
        with Live(console=out, refresh_per_second=4) as live:

            def show(run: DagRun, tasks: list[Task]) -> None:
                live.update(_table(run, tasks))

            yield show
    else:
        seen: dict[str, str] = {}

        def write(_run: DagRun, tasks: list[Task]) -> None:
            for task in tasks:
                if seen.get(task.name, "none") != task.state and task.state not in ("scheduled", "queued", "none"):
                    out.print(f"{task.name:<14} {_told(task)}", markup=False, soft_wrap=True)
                seen[task.name] = task.state

        yield write


def _table(run: DagRun, tasks: list[Task]) -> Table:
    table = Table.grid(padding=(0, 2))
    for task in tasks:
        colour = _COLOURS.get(task.state, "cyan")
        table.add_row(task.name, f"[{colour}]{escape(_told(task))}[/]")
    if run.state == "queued":
        table.add_row("", "[dim]the run is queued[/]")
    return table


def _told(task: Task) -> str:
    words = _WORDS.get(task.state, task.state)
    if task.started_at is None or task.state in ("skipped", "upstream_failed"):
        return words
    seconds = ((task.ended_at or datetime.now(UTC)) - task.started_at).total_seconds()
    tries = f", try {task.tries}" if task.tries > 1 else ""
    return f"{words}{tries} {seconds:.1f} s"
