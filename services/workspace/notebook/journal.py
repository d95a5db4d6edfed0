"""What a run leaves while it goes on and at its end: lines of JSON, the executed notebook, the result."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import nbformat
from nbformat import NotebookNode

KEPT_BYTES = 10 * 2**20
"""How much output of a run is kept; what comes after is counted and dropped."""

What = Literal["start", "output", "end", "error", "streaming", "session"]


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    state: Literal["SUCCESS", "FAILED", "CANCELED"]
    exit: str | None = None
    error: str | None = None
    traceback: str | None = None
    cell: int | None = None


class Journal:
    """The happenings of a run, a line of JSON each, flushed: a page that follows the file is up to date."""

    def __init__(self, file: Path, of: int) -> None:
        self._out = file.open("a", encoding="utf-8")
        self._of = of

    def write(self, what: What, cell: int | None = None, text: str | None = None, seconds: float | None = None) -> None:
        """Add a happening."""
        entry = {"cell": cell, "of": self._of, "what": what, "text": text, "seconds": seconds}
        found = {name: value for name, value in entry.items() if value is not None or name == "cell"}
        self._out.write(json.dumps(found, ensure_ascii=False) + "\n")
        self._out.flush()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._out.close()


def write_notebook(notebook: NotebookNode, file: Path) -> None:
    """Write the notebook as it is now; a reader sees this one or the one before."""
    _replace(file, nbformat.writes(notebook))


def write_result(result: Result, file: Path) -> None:
    """Write how the run ended; a reader sees all of it or no file."""
    _replace(file, json.dumps(asdict(result), ensure_ascii=False, indent=2))


def _replace(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
