"""Shows runs: progress bars on a terminal, else a JSON line every few seconds, and a summary at the end."""

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
    """A progress bar a destination with rate, latency and failures; a table of each at the end."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._tables: list[Table] = []

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bars; log lines go above them, tables below."""
        with self._progress:
            log.configure("console")
            yield
        for table in self._tables:
            self._console.print(table)

    @contextlib.asynccontextmanager
    async def following(self, destination: str, figures: Figures, total: int | None) -> AsyncIterator[None]:
        """Keep a bar up to date with `figures`; `total` is the number of events, if it is known."""
        task = self._progress.add_task(f"events to {destination}", total=total, numbers="")

        def update() -> None:
            rate = figures.events / (figures.seconds or 1e-9)
            p50, p99 = figures.latencies.milliseconds(0.5), figures.latencies.milliseconds(0.99)
            failures = figures.failures.total()
            numbers = f"{rate:,.0f}/s · p50 {p50 or 0:.1f} ms, p99 {p99 or 0:.1f} ms · {failures} failures"
            self._progress.update(task, completed=figures.events + figures.empty, numbers=numbers)

        async with _repeated(_BAR_SECONDS, update):
            yield
        update()

    def summary(self, destination: str, figures: Figures, unsent: int, said: str) -> None:
        """Keep a table for the end."""
        table = Table(show_header=False, title=f"{destination}: {said}", title_justify="left")
        for name, value in figures.as_fields().items():
            if value or name in ("events", "records", "retries", "spooled"):
                table.add_row(name, str(value))
        table.add_row("unsent, in the spool", str(unsent))
        self._tables.append(table)


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
    async def following(self, destination: str, figures: Figures, total: int | None) -> AsyncIterator[None]:
        """Log the figures every few seconds."""

        def tell() -> None:
            _log.info("posting", destination=destination, of=total, **figures.as_fields())

        async with _repeated(_LINE_SECONDS, tell):
            yield

    def summary(self, destination: str, figures: Figures, unsent: int, said: str) -> None:
        """Log the figures of the whole run."""
        _log.info("ended", destination=destination, result=said, **figures.as_fields(), unsent_in_spool=unsent)


Display = TerminalDisplay | LineDisplay


def display_for(settings: Settings) -> Display:
    """Return the display that fits standard error."""
    return TerminalDisplay() if sys.stderr.isatty() else LineDisplay(settings)


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
