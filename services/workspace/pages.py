"""Pages for people: the list of runs, a run with its tasks, a task with its output; live ones load themselves anew.

They need no token, as the service listens on this machine only, and they only show.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pinline.settings import Settings
from workspace import work
from workspace.store import Run, Store

_PAGE = 50
_SHOWN_BYTES = 256 * 2**10
_WORDS = {"TIMEDOUT": "timed out", "UPSTREAM_FAILED": "not run", "UPSTREAM_CANCELED": "not run"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; script-src 'self'"
"""What a notebook puts out is shown, and can't run scripts here."""


def create_pages(settings: Settings, store: Store) -> APIRouter:
    """Return the pages' routes."""
    shown = _Pages(settings, store)
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", lambda: RedirectResponse("/runs"), response_model=None)
    router.add_api_route("/live.js", shown.script, response_model=None)
    router.add_api_route("/runs", shown.runs, response_model=None)
    router.add_api_route("/runs/{run_id}", shown.run, response_model=None)
    return router


class _Pages:
    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._script = (Path(__file__).parent / "templates" / "live.js").read_text()
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "time": _time,
            "duration": _duration,
            "word": _word,
            "kind": _kind,
            "parameters": _parameters,
        }

    def script(self) -> Response:
        """What keeps a page up to date while a run is active."""
        return Response(self._script, media_type="text/javascript")

    def runs(self, before: int = 0) -> Response:
        """The list, a page of it: `before` is how many newer ones are left out."""
        found = self._store.runs(limit=_PAGE + 1, offset=max(0, before))
        rows = [(run, self._store.tasks(run.run_id)) for run in found[:_PAGE]]
        live = any(run.is_active for run in found[:_PAGE])
        more = before + _PAGE if len(found) > _PAGE else None
        return self._page("runs.html", title="Runs", rows=rows, live=live, more=more, before=before)

    def run(self, run_id: int) -> Response:
        """A run with its tasks, or one task's run. A run of one task shows that task's output too."""
        run = self._store.run(run_id)
        if run is None:
            return self._page("missing.html", title="No such run", status=404, run_id=run_id, live=False)
        parent = self._store.run(run.parent_id) if run.parent_id else None
        tasks = [] if parent else list(self._store.tasks(run_id))
        task = run if parent else tasks[0] if len(tasks) == 1 else None
        output = self._output(task) if task else {}
        return self._page(
            "run.html", title=run.name, run=run, parent=parent, tasks=tasks, task=task, live=run.is_active, **output
        )

    def _output(self, task: Run) -> dict[str, Any]:
        left = work.files(self._settings, task.run_id)
        made: dict[str, Any] = {"file": work.path_of(task.spec), "log": work.tail_of(left.log, _SHOWN_BYTES)}
        made["log_cut"] = left.log.exists() and left.log.stat().st_size > _SHOWN_BYTES
        if not task.is_active and task.result in ("FAILED", "TIMEDOUT", "CANCELED"):
            made["error"] = task.message
        if not work.is_notebook(task):
            return made
        if left.result.exists():
            found = work.ended(self._settings, task, 1)
            made |= {"trace": found.trace, "exit": found.exit}
        made["cells"] = _cells(work.events(self._settings, task.run_id))
        if not task.is_active and left.notebook.exists() and left.notebook.stat().st_size < 64 * _SHOWN_BYTES:
            made["notebook"] = Markup(_rendered(left.notebook))  # noqa: S704  # a notebook's own HTML is what it shows
        return made

    def _page(self, template: str, *, status: int = 200, **values: object) -> Response:
        text = self._templates.get_template(template).render(settings=self._settings, **values)
        return HTMLResponse(text, status, headers={"content-security-policy": _POLICY})


def _rendered(file: Path) -> str:
    """Return a notebook as HTML, without a frame around it."""
    from nbconvert import HTMLExporter  # it takes a while to import, and the API needs none of it

    notebook = nbformat.read(file, as_version=4)
    exporter = HTMLExporter(template_name="basic")  # type: ignore[no-untyped-call]
    body, _ = exporter.from_notebook_node(notebook)
    return str(body)


def _cells(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far a notebook is: cells done, of how many, which one works, what was put out last."""
    started = [event["cell"] for event in events if event["what"] == "start"]
    done = sum(event["what"] == "end" for event in events)
    text = "".join(event["text"] for event in events if event["what"] == "output")[-_SHOWN_BYTES:]
    streaming = [event["text"] for event in events if event["what"] == "streaming"]
    of = events[-1]["of"] if events else 0
    return {
        "done": done,
        "of": of,
        "now": started[-1] + 1 if len(started) > done else None,
        "text": text,
        "streaming": streaming[-1] if streaming else None,
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if milliseconds else ""


def _duration(run: Run) -> str:
    seconds = run.seconds
    if not run.started:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def _word(run: Run) -> str:
    """Return a run's state in a word."""
    found = run.result if run.result and not run.is_active else run.life
    return _WORDS.get(found, found.lower().replace("canceled", "cancelled"))


def _kind(run: Run) -> str:
    """Return what a state means to who looks: good, bad, busy, idle."""
    if run.is_active:
        return "busy" if run.started else "idle"
    return {"SUCCESS": "good", "FAILED": "bad", "TIMEDOUT": "bad"}.get(run.result or "", "idle")


def _parameters(run: Run, task: Run) -> str:
    """Return a task's parameters as one line."""
    if python := task.spec.get("spark_python_task"):
        given = run.spec.get("python_params")
        return " ".join(python["parameters"] if given is None else given)
    values = run.spec.get("job_parameters", {}) | task.spec["notebook_task"]["base_parameters"]
    return ", ".join(f"{name}={text}" for name, text in (values | run.spec.get("notebook_params", {})).items())
