"""nbclient with bounded outputs: a cell that prints without end fills neither memory nor disk."""

import re
from collections.abc import Callable
from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_output

from workspace.notebook.journal import KEPT_BYTES

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
CUT = f"\n... the output is cut here: {KEPT_BYTES // 2**20} MB of a run's output are kept.\n"

Told = Callable[[int, str], None]


class BoundedClient(NotebookClient):
    """Runs cells, keeps the first `KEPT_BYTES` of their outputs, tells of each output as it comes, and goes on when
    a cell fails: how it ended is in `reply`."""

    def __init__(self, notebook: NotebookNode, tell: Told, **options: Any) -> None:
        super().__init__(
            notebook,
            timeout=None,
            allow_errors=True,
            on_cell_executed=self._keep_reply,
            **options,
        )
        self.reply: dict[str, Any] = {}
        self._tell = tell
        self._left = KEPT_BYTES

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Take an output of the kernel; beyond the bound only that something is missing."""
        content = msg["content"]
        if self._left <= 0:
            return None
        size = _size(content)
        if size <= self._left:
            self._left -= size
            if msg["msg_type"] == "stream" and _continues(outs, content):
                # nbclient's own joining takes minutes for a line of a megabyte
                outs[-1].text += content["text"]
                self._tell(cell_index, without_colours(content["text"]))
                return None
            made = super().output(outs, msg, display_id, cell_index)
            if made is not None and (text := plain_text(made)):
                self._tell(cell_index, text)
            return made
        kept = content["text"][: self._left] if msg["msg_type"] == "stream" else ""
        self._left = 0
        cut = new_output("stream", name=content.get("name", "stdout"), text=kept + CUT)
        outs.append(cut)
        self._tell(cell_index, cut.text)
        return cut

    def _keep_reply(self, execute_reply: dict[str, Any], **_: object) -> None:
        self.reply = execute_reply["content"]


def plain_text(output: NotebookNode) -> str:
    """Return an output as text without colours; empty for an error, whose traceback is told apart."""
    if output.output_type == "stream":
        return without_colours(output.text)
    if output.output_type == "error":
        return ""
    return without_colours(str(output.get("data", {}).get("text/plain", "")))


def without_colours(text: str) -> str:
    """Return a terminal's text without its colours."""
    return _COLOURS.sub("", text)


def _continues(outs: list[NotebookNode], content: dict[str, Any]) -> bool:
    return bool(outs) and outs[-1].output_type == "stream" and outs[-1].name == content["name"]


def _size(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    if isinstance(content, dict):
        return sum(_size(value) for value in content.values())
    return sum(_size(value) for value in content) if isinstance(content, list) else 8
