"""The kernel's side: what IPython's startup file begins, and what the run asks the kernel for."""

import json
import os
import uuid
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from pinline.settings import Settings, load
from workspace.notebook import startup
from workspace.notebook.dbutils import Utilities
from workspace.notebook.dbutils.widgets import Widgets

_SPARK_WORDS = ("spark", "Spark", "lakehouse", "sql")


class Kernel:
    """This process's notebook environment; the Spark session is opened by the first cell that may need it."""

    def __init__(self, shell: InteractiveShell, settings: Settings, runtime: startup.Runtime) -> None:
        self.shell = shell
        self.settings = settings
        self.spark: Any = None
        self._watched: list[Any] | None = None
        shell.user_ns["dbutils"] = Utilities(Widgets(runtime.parameters))
        shell.events.register("pre_run_cell", self._before_cell)

    def session(self) -> Any:
        """Return the Spark session, and put it into the notebook as `spark`."""
        if self.spark is None:
            from lakehouse.session import get_spark  # PySpark takes a second to import

            self.spark = get_spark(self.settings)
            self.shell.user_ns["spark"] = self.spark
        return self.spark

    def streaming(self) -> dict[str, Any]:
        """Return the names of the streaming queries that were running at the first call and still do, and the error of
        one that failed since."""
        if self.spark is None:
            return {"active": [], "failed": None}
        if self._watched is None:
            self._watched = list(self.spark.streams.active)
        running = [query for query in self._watched if query.isActive]
        ended = [query for query in self._watched if query not in running]
        self._watched = running
        failures = [error for query in ended if (error := query.exception()) is not None]
        names = sorted(query.name or str(query.id) for query in running)
        return {"active": names, "failed": str(failures[0]) if failures else None}

    def end(self) -> None:
        """End the Spark session; its streaming queries end with it."""
        if self.spark is not None:
            self.spark.stop()

    def _before_cell(self, info: Any) -> None:
        if self.spark is None and any(word in (info.raw_cell or "") for word in _SPARK_WORDS):
            self.session()


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
