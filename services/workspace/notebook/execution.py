"""One run of a notebook: a kernel of its own, cell after cell, until the end, an error, or a cancellation."""

import ast
import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from pinline.errors import PinlineError
from pinline.settings import Settings
from workspace.notebook import startup
from workspace.notebook.journal import Journal, Result, write_notebook
from workspace.notebook.outputs import BoundedClient, without_colours

EXIT = "NotebookExit"
"""The name of what `dbutils.notebook.exit` raises."""

_POLL_SECONDS = 1.0
_GRACE_SECONDS = 1.5
_RELEASE_SECONDS = 6.0

T = TypeVar("T")


class CanceledError(Exception):
    """The run was told to end."""


@dataclass
class Execution:
    """A run that isn't started yet. `folder`, where the notebook is, is its working directory; `parent` is the process
    without which the run ends, if any."""

    settings: Settings
    notebook: NotebookNode
    folder: Path
    parameters: Mapping[str, str]
    output: Path
    journal: Journal
    parent: int | None = None

    def __post_init__(self) -> None:
        self._session = str(uuid.uuid4())
        self._cancel = asyncio.Event()
        self._cell: int | None = None
        self._manager: Any = None
        self._client = BoundedClient(self.notebook, lambda cell, text: self.journal.write("output", cell, text))

    async def run(self) -> Result:
        """Run the notebook to its end. SIGTERM and SIGINT cancel it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._cancel.set)
        watch = asyncio.ensure_future(self._watch_parent())
        scratch = Path(tempfile.mkdtemp(prefix="notebook-"))
        self.journal.write("session", text=self._session)
        try:
            await self._start(scratch)
            result = await self._cells()
            with suppress(PinlineError, TimeoutError):  # the server ends it later
                await asyncio.wait_for(self._ask("end()"), _RELEASE_SECONDS)
        except CanceledError:
            result = Result("CANCELED", error="the run was cancelled", cell=self._cell)
            await self._release()
        except DeadKernelError:
            text = "the kernel died: it was killed, or memory ran out"
            self.journal.write("error", self._cell, text)
            result = Result("FAILED", error=text, cell=self._cell)
            await self._release()
        except PinlineError as error:
            self.journal.write("error", self._cell, str(error))
            result = Result("FAILED", error=str(error), cell=self._cell)
            await self._release()
        finally:
            watch.cancel()
            await self._end_kernel()
            write_notebook(self.notebook, self.output)
            shutil.rmtree(scratch, ignore_errors=True)
        return result

    async def _start(self, scratch: Path) -> None:
        write_notebook(self.notebook, self.output)
        runtime = startup.Runtime(dict(self.parameters), self._session)
        environment = startup.write(scratch / "ipython", runtime)
        # sockets in a folder that only its owner can open: others on this machine could reach a port
        self._manager = self._client.km = AsyncKernelManager(
            kernel_name="python3", connection_file=str(scratch / "kernel.json"), transport="ipc", ip=str(scratch / "k")
        )
        self._client.extra_arguments = ["--HistoryManager.enabled=False"]
        kernel = self._client.async_start_new_kernel(cwd=str(self.folder), env={**os.environ, **environment})
        try:
            await self._unless_cancelled(kernel)
            await self._unless_cancelled(self._client.async_start_new_kernel_client())
        except (OSError, RuntimeError) as error:
            raise PinlineError(f"starting the kernel: {error}. Is it installed? Try: make setup") from None

    async def _cells(self) -> Result:
        for index, cell in enumerate(self.notebook.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            self._cell, started = index, time.monotonic()
            self.journal.write("start", index)
            await self._unless_cancelled(self._client.async_execute_cell(cell, index))
            write_notebook(self.notebook, self.output)
            reply, seconds = self._client.reply, round(time.monotonic() - started, 3)
            exits = reply.get("ename") == EXIT
            if reply["status"] == "error" and not exits:
                return self._failed(index, reply, seconds)
            self.journal.write("end", index, seconds=seconds)
            if exits:
                return await self._streams(reply["evalue"])
        return await self._streams(None)

    def _failed(self, index: int, reply: Mapping[str, Any], seconds: float) -> Result:
        from lakehouse.session import first_lines  # it takes a while to import, and is needed here only

        error = first_lines(Exception(f"{reply['ename']}: {reply['evalue']}"))
        traceback = without_colours("\n".join(reply["traceback"])).partition("\n\nJVM stacktrace")[0] or error
        self.journal.write("error", index, error, seconds)
        return Result("FAILED", error=error.partition("\n")[0][:500], traceback=traceback, cell=index)

    async def _streams(self, value: str | None) -> Result:
        """Wait until the streaming queries that the notebook left have ended."""
        self._cell = None
        shown: list[str] = []
        while True:
            found = json.loads(await self._unless_cancelled(self._ask("streaming()")))
            if failure := found["failed"]:
                self.journal.write("error", text=failure)
                return Result("FAILED", value, failure.partition("\n")[0][:500], failure)
            if not found["active"]:
                return Result("SUCCESS", value)
            if found["active"] != shown:
                shown = found["active"]
                self.journal.write("streaming", text=", ".join(shown))
            await self._unless_cancelled(asyncio.sleep(_POLL_SECONDS))

    async def _ask(self, call: str) -> str:
        """Return the text that a function of `workspace.notebook.kernel` gives in the kernel."""
        expression = f"__import__('workspace.notebook.kernel', fromlist=['kernel']).{call}"
        kernel: Any = self._client.kc
        sent = kernel.execute("", silent=True, store_history=False, user_expressions={"found": expression})
        reply: Any = await self._client.async_wait_for_reply(sent)
        found = reply["content"]["user_expressions"]["found"]
        if found["status"] != "ok":
            raise PinlineError(f"asking the kernel for {call}: {found['ename']}: {found['evalue']}")
        return str(ast.literal_eval(found["data"]["text/plain"]))

    async def _unless_cancelled(self, work: Awaitable[T]) -> T:
        """Return what `work` gives. Raises CanceledError when the run is told to end before."""
        task, cancelled = asyncio.ensure_future(work), asyncio.ensure_future(self._cancel.wait())
        await asyncio.wait({task, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        cancelled.cancel()
        if task.done():
            return task.result()
        if self._client.kc is not None:
            await self._manager.interrupt_kernel()
            await asyncio.wait({task}, timeout=_GRACE_SECONDS)
        task.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await task
        raise CanceledError

    async def _release(self) -> None:
        """End the run's session on the Spark server from here, when the kernel can't."""
        if self.settings.spark_remote is None:
            return
        await self._end_kernel()
        from workspace.notebook import sessions  # PySpark takes a while to import

        with suppress(Exception):
            await asyncio.wait_for(
                asyncio.to_thread(sessions.release, self.settings, self._session), timeout=_RELEASE_SECONDS
            )

    async def _end_kernel(self) -> None:
        manager, self._manager = self._manager, None
        if self._client.kc is not None:
            self._client.kc.stop_channels()
            self._client.kc = None
        if manager is not None:
            with suppress(RuntimeError):  # it wasn't started
                await manager.shutdown_kernel(now=True)

    async def _watch_parent(self) -> None:
        while self.parent in (None, os.getppid()):  # noqa: ASYNC110  # nothing tells of a parent's end
            await asyncio.sleep(_POLL_SECONDS)
        self._cancel.set()
