"""The kernel's side: what IPython's startup file begins, and what the run asks the kernel for."""

import atexit
import json
import os
import uuid
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from pinline.errors import PinlineError
from pinline.settings import Settings, load
from workspace.notebook import display, document, paths, startup
from workspace.notebook.checkpoints import Checkpoints
from workspace.notebook.dbutils import Utilities
from workspace.notebook.dbutils.files import Files
from workspace.notebook.dbutils.notebooks import Notebook, NotebookExit
from workspace.notebook.dbutils.secrets import Secrets
from workspace.notebook.dbutils.widgets import Widgets
from workspace.notebook.magics import Magics

_SPARK_WORDS = ("spark", "Spark", "lakehouse")


class Unavailable:
    """Stands for `spark` when there is no session: every use says why."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> object:
        raise self._error


class Kernel:
    """This process's notebook environment; the Spark session is opened by the first cell that may need it."""

    def __init__(self, shell: InteractiveShell, settings: Settings, runtime: startup.Runtime) -> None:
        self._shell = shell
        self._settings = settings
        self._spark: Any = None
        self._watched: list[Any] | None = None
        self._folders = [Path.cwd()]
        self._parameters = runtime.parameters
        self._paths = paths.of_workspace(settings)
        self._checkpoints = Checkpoints(settings.pinline_data / "workspace" / "checkpoints.json")
        self._widgets = Widgets(self._parameters)
        dbutils = Utilities(
            Files(settings, self._paths, self._checkpoints), Notebook(self._find), Secrets(settings), self._widgets
        )
        shell.user_ns |= {
            "dbutils": dbutils,
            "display": display.display,
            "displayHTML": display.displayHTML,
            "getArgument": self._widgets.getArgument,
        }
        Magics(shell, dbutils, self.session, self._run)
        shell.set_custom_exc((NotebookExit,), _say_exit)
        shell.events.register("pre_run_cell", self._before_cell)
        atexit.register(self.end)  # JupyterLab's kernels have no run that ends them

    def session(self) -> Any:
        """Return the Spark session, and put it into the notebook as `spark`: the lake's tables have their names, a
        table without a schema is in `notebook`, and of Delta."""
        if self._spark is None:
            from lakehouse import tables  # PySpark takes a second to import
            from workspace.notebook import databricks, sessions

            sessions.url(self._settings, "")
            lake = tables.open_lake(self._settings)
            tables.use_notebook(lake)
            lake.spark.conf.set("spark.sql.sources.default", "delta")
            databricks.install(self._paths, self._checkpoints, self._settings)
            self._spark = lake.spark
            self._shell.user_ns["spark"] = self._spark
        return self._spark

    def streaming(self) -> dict[str, Any]:
        """Return the names of the streaming queries that were running at the first call and still do, and the error of
        one that failed since."""
        if self._spark is None:
            return {"active": [], "failed": None}
        if self._watched is None:
            self._watched = list(self._spark.streams.active)
        running = [query for query in self._watched if query.isActive]
        ended = [query for query in self._watched if query not in running]
        self._watched = running
        failures = [str(error) for query in ended if (error := query.exception()) is not None]
        return {
            "active": sorted(query.name or str(query.id) for query in running),
            "failed": next(iter(failures), None),
        }

    def end(self) -> None:
        """End the Spark session; its streaming queries end with it."""
        spark, self._spark = self._spark, None
        if spark is not None:
            for query in spark.streams.active:
                query.stop()
            spark.stop()

    def _before_cell(self, info: Any) -> None:
        if self._spark is not None or not any(word in (info.raw_cell or "") for word in _SPARK_WORDS):
            return
        try:
            self.session()
        except Exception as error:
            self._shell.user_ns["spark"] = Unavailable(error)

    def _find(self, path: str) -> Path:
        return document.find(self._settings.workspace_root, path, self._folders[-1])

    def _run(self, path: str, values: dict[str, str]) -> None:
        """Run another notebook's cells here."""
        file = self._find(path)
        if len(self._folders) > 20:
            raise PinlineError(f"%run {path}: 20 notebooks have run one another; do two of them do so for ever?")
        self._folders.append(file.parent)
        self._parameters.update(values)
        try:
            for number, cell in enumerate(document.read(file).cells):
                if cell.cell_type != "code":
                    continue
                result = self._shell.run_cell(cell.source, store_history=False)
                if isinstance(result.error_in_exec, NotebookExit):
                    return
                if not result.success:
                    raise PinlineError(f"%run {path}: its cell {number + 1} failed, see above") from None
        finally:
            self._folders.pop()


_kernels: list[Kernel] = []


def begin(shell: InteractiveShell, values: str) -> None:
    """Put the environment into an IPython shell. `values` are those of `startup.write`."""
    runtime = startup.read(values)
    settings = load()
    if settings.spark_remote is not None:
        from workspace.notebook import sessions

        # a notebook's own SparkSession.builder.getOrCreate() follows it to the same session
        os.environ["SPARK_REMOTE"] = sessions.url(settings, runtime.session or str(uuid.uuid4()))
        settings = load()
    _kernels.append(Kernel(shell, settings, runtime))


def streaming() -> str:
    """Return `Kernel.streaming` as JSON."""
    return json.dumps(_kernels[-1].streaming())


def end() -> str:
    """End the kernel's Spark session."""
    _kernels[-1].end()
    return ""


def _say_exit(_shell: Any, _kind: Any, error: BaseException, _traceback: Any, tb_offset: Any = None) -> None:  # noqa: ARG001
    print(f"Notebook exited: {error}")
