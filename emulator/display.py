"""Shows a run: a progress bar on a terminal, else a JSON line every few seconds, and a summary at the end."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from emulator.figures import Figures
from pinline import log
from pinline.settings import Settings

_log = structlog.get_logger("emulator")
_LINE_SECONDS = 5.0
_BAR_SECONDS = 0.2


class TerminalDisplay:
    """A progress bar with rate, latency and failures."""

    def __init__(self, total: int | None) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("events"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task("events", total=total, numbers="")

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar; log lines go above it."""
        with self._progress:
            log.configure("console")
            yield

    @contextlib.asynccontextmanager
    async def following(self, figures: Figures) -> AsyncIterator[None]:
        """Keep the bar up to date with `figures`."""
        async with _repeated(_BAR_SECONDS, lambda: self._update(figures)):
            yield
        self._update(figures)

    def summary(self, figures: Figures, unsent: int, said: str) -> None:
        """Print a table."""
        self._progress.stop()
        table = Table(show_header=False, title=said, title_justify="left")
        for name, value in figures.as_fields().items():
            if value or name in ("events", "records", "retries", "spooled"):
                table.add_row(name, str(value))
        table.add_row("unsent, in the spool", str(unsent))
        self._console.print(table)

    def _update(self, figures: Figures) -> None:
        rate = figures.events / (figures.seconds or 1e-9)
        p50, p99 = figures.latencies.milliseconds(0.5), figures.latencies.milliseconds(0.99)
        failures = figures.failures.total()
        numbers = f"{rate:,.0f}/s · p50 {p50 or 0:.1f} ms, p99 {p99 or 0:.1f} ms · {failures} failures"
        self._progress.update(self._task, completed=figures.events + figures.empty, numbers=numbers)


class LineDisplay:
    """JSON lines on standard error."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Configure the log."""
        log.configure(self._settings.log_format)
        yield

    @contextlib.asynccontextmanager
    async def following(self, figures: Figures) -> AsyncIterator[None]:
        """Log the figures every few seconds."""
        async with _repeated(_LINE_SECONDS, lambda: _log.info("posting", **figures.as_fields())):
            yield

    def summary(self, figures: Figures, unsent: int, said: str) -> None:
        """Log the figures of the whole run."""
        _log.info("ended", result=said, **figures.as_fields(), unsent_in_spool=unsent)


Display = TerminalDisplay | LineDisplay


def display_for(settings: Settings, total: int | None) -> Display:
    """Return the display that fits standard error; `total` is the number of events, if it is known."""
    return TerminalDisplay(total) if sys.stderr.isatty() else LineDisplay(settings)


@contextlib.asynccontextmanager
async def _repeated(seconds: float, action: Callable[[], object]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            action()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
