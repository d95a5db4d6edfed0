"""Notebooks as files: `.ipynb`, and Databricks' source format, a `.py` whose cells are told by comments."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pinline.errors import DataError

SOURCE_HEADER = "# Databricks notebook source"
SUFFIXES = (".ipynb", ".py")

_CELL_END = re.compile(r"^# COMMAND -{10}\s*$", re.M)
_MAGIC = re.compile(r"^# MAGIC ?", re.M)
_TITLE = re.compile(r"^# DBTITLE \d+,.*\n?", re.M)
_MARKDOWN = re.compile(r"\A%md(?:-sandbox)?(?:[ \t]+|\n|\Z)")


def read(path: Path) -> NotebookNode:
    """Return a notebook without outputs. Raises DataError when the file is missing or is no notebook."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"reading the notebook {path}: {error}. Is the path right?") from None
    notebook = _from_source(text, path) if path.suffix == ".py" else _from_json(text, path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def locate(root: Path, path: str, beside: Path) -> Path:
    """Return where in the workspace `path` points to, whether or not something is there.

    `path` is relative to the folder `beside`, or absolute in the workspace, whose folder is `root`: `/a/b`,
    `/Workspace/a/b`. Raises DataError when that is outside of the workspace.
    """
    inside = root.resolve()
    base = inside / re.sub(r"^/(Workspace(?=/))?/*", "", path) if path.startswith("/") else beside / path
    if path.startswith(f"{inside}/"):
        base = Path(path)
    found = base.resolve()
    if not found.is_relative_to(inside):
        raise DataError(
            f"opening {path!r}: {found} is outside of the workspace's folder {inside} (WORKSPACE_ROOT). "
            "Move the file into it."
        )
    return found


def find(root: Path, path: str, beside: Path) -> Path:
    """Return the file of a notebook that a run or another notebook names, with or without its suffix.

    Raises DataError when there is no such file, or when it is outside of the workspace (see `locate`).
    """
    found = locate(root, path, beside)
    for candidate in (found, *(found.with_name(found.name + suffix) for suffix in SUFFIXES)):
        if candidate.is_file():
            return candidate
    raise DataError(f"opening the notebook {path!r}: there is no {found}, nor with {' or '.join(SUFFIXES)} after it.")


def _from_json(text: str, path: Path) -> NotebookNode:
    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat has no base for what it raises
        raise DataError(f"reading the notebook {path}: it is no valid .ipynb: {str(error)[:300]}") from None
    return notebook


def _from_source(text: str, path: Path) -> NotebookNode:
    header, _, body = text.partition("\n")
    if header.strip() != SOURCE_HEADER:
        raise DataError(f"reading the notebook {path}: a .py notebook begins with the line {SOURCE_HEADER!r}")
    return new_notebook(cells=[cell for part in _CELL_END.split(body) if (cell := _cell(part)) is not None])


def _cell(text: str) -> NotebookNode | None:
    source = _TITLE.sub("", text).strip("\n")
    if not source.strip():
        return None
    if source.startswith("# MAGIC"):
        source = _MAGIC.sub("", source)
    if found := _MARKDOWN.match(source):
        return new_markdown_cell(source[found.end() :])
    return new_code_cell(source)
