"""Databricks' magics: `%sql`, `%md`, `%run`, `%fs`, `%python`; those that need a cluster's shell or another language
are refused with advice. One percent sign is enough, also for a cell of many lines."""

import re
import shlex
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import Markdown
from IPython.display import display as show

from workspace.notebook.dbutils import Utilities
from workspace.notebook.display import display

_OF_CELLS = ("sql", "md", "md-sandbox", "scala", "r", "sh")
_FIRST = re.compile(rf"^%{{1,2}}({'|'.join((*_OF_CELLS, 'python'))})(?=\s|$)[ \t]*")
_PIECE = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|;|[^'\"`;/-]+|.", re.S)
_WIDGET = re.compile(r"\$\{(\w+)\}")
_REFUSED = {
    "pip": "packages are pinned in the project: add yours to pyproject.toml and type `make requirements setup`",
    "conda": "packages are pinned in the project: add yours to pyproject.toml and type `make requirements setup`",
    "sh": "there is no cluster to have a shell on; Python's subprocess runs programs here",
    "scala": "notebooks are Python and SQL here",
    "r": "notebooks are Python and SQL here",
}


class Magics:
    """The magics of a shell."""

    def __init__(
        self,
        shell: InteractiveShell,
        dbutils: Utilities,
        session: Callable[[], Any],
        run: Callable[[str, dict[str, str]], None],
    ) -> None:
        self._shell = shell
        self._dbutils = dbutils
        self._session = session
        self._run = run
        shell.input_transformers_cleanup.insert(0, as_cell_magic)
        shell.register_magic_function(self.sql, "line_cell", "sql")
        shell.register_magic_function(self.md, "line_cell", "md")
        shell.register_magic_function(self.md, "line_cell", "md-sandbox")
        shell.register_magic_function(self.run, "line", "run")
        shell.register_magic_function(self.fs, "line", "fs")
        for name, advice in _REFUSED.items():
            shell.register_magic_function(_refuse(name, advice), "line_cell", name)

    def sql(self, line: str, cell: str | None = None) -> None:
        """Run statements; the last one's rows are shown, and are the DataFrame `_sqldf`."""
        text = _WIDGET.sub(lambda found: self._dbutils.widgets.get(found[1]), f"{line}\n{cell or ''}")
        frame = None
        for statement in statements(text):
            frame = self._session().sql(statement)
        if frame is not None and frame.columns:
            self._shell.user_ns["_sqldf"] = frame
            display(frame)

    def md(self, line: str, cell: str | None = None) -> None:
        """Show Markdown."""
        show(Markdown(f"{line}\n{cell or ''}"))

    def run(self, line: str) -> None:
        """Run another notebook's cells in this one; `$name="value"` gives it widgets."""
        path, *arguments = shlex.split(line) or [""]
        if not path:
            raise UsageError("%run takes the path of a notebook, such as: %run ./setup")
        values = dict(argument.removeprefix("$").split("=", 1) for argument in arguments if "=" in argument)
        self._run(path, values)

    def fs(self, line: str) -> None:
        """Do a command of dbutils.fs: `%fs ls /mnt`."""
        name, *arguments = shlex.split(line) or ["help"]
        command = getattr(self._dbutils.fs, name, None)
        if name.startswith("_") or not callable(command):
            raise UsageError(f"%fs {name}: there are cp, head, ls, mkdirs, mount, mounts, mv, put, rm, unmount")
        recurse = [True for argument in arguments if argument in ("-r", "--recurse")]
        found = command(*[argument for argument in arguments if argument not in ("-r", "--recurse")], *recurse)
        if isinstance(found, str):
            print(found)
        else:
            display(found)


def as_cell_magic(lines: list[str]) -> list[str]:
    """Make a cell that begins with a magic of one percent sign the cell magic; for IPython's transformers."""
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        if found := _FIRST.match(line):
            rest = line[found.end() :]
            first = [] if found[1] == "python" else [f"%%{found[1]}\n"]
            return [*first, *([rest] if rest.strip() else []), *lines[index + 1 :]]
        break
    return lines


def statements(text: str) -> list[str]:
    """Return the statements of a text of SQL, without comments' and quotes' semicolons."""
    found = [""]
    for piece in _PIECE.findall(text):
        if piece == ";":
            found.append("")
        elif not piece.startswith(("--", "/*")) or piece.startswith("/*+"):
            found[-1] += piece
    return [statement.strip() for statement in found if statement.strip()]


def _refuse(name: str, advice: str) -> Callable[..., None]:
    def refuse(line: str, cell: str | None = None) -> None:  # noqa: ARG001  # the shape of a magic
        raise UsageError(f"%{name} does not work here: {advice}")

    return refuse
