"""The batch: S3 to silver to gold, all steps in one process, with its progress on screen.

Safe to run again at any time: a run with nothing new writes nothing, a second run at the same time waits for the first.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pyspark.errors import PySparkException
from rich.console import Console

from lakehouse import progress, tables
from lakehouse.jobs import check, publish, quality, questions, silver
from lakehouse.lease import Lease, Process, new_run
from lakehouse.progress import Chunk, Progress
from lakehouse.session import compile_queries, first_lines
from lakehouse.step import WAIT_SECONDS
from lakehouse.tables import Lake, side_by_side
from pinline.errors import PinlineError
from pinline.events import EVENT_BY_NAME, EVENTS
from pinline.settings import Settings, load

_SIDE_BY_SIDE_BYTES = 64 * 2**20
"""Up to here the three events are loaded at once, and their progress is one commit; more of them need the driver's
memory one after another, and shouldn't be repeated after a kill."""


class Display:
    """A line a step: its name, what it did, how long it took. Lines on a terminal appear when the step begins."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Show a step; call what it yields with what the step did."""
        started = time.monotonic()
        said = [""]

        def tell(text: str) -> None:
            said[0] = text
            if status:
                status.update(f"{name}  {text}")

        status = self._console.status(name) if self._console.is_terminal else None
        if status:
            with status:
                yield tell
        else:
            yield tell
        self._console.print(f"[bold]{name:<10}[/] {time.monotonic() - started:6.1f} s  {said[0]}", soft_wrap=True)


def run(settings: Settings, *, wait_seconds: float = WAIT_SECONDS) -> bool:
    """Run all steps. Returns False if there was nothing to do. Raises PinlineError."""
    display = Display()
    with display.step("check") as tell:
        lake = tables.open_lake(settings)
        tables.create(lake)
        lease = Lease(lake, new_run("batch"), process=Process.this())
        seen = lease.tag()
        work = check.look(lake)
        tell(str(work))
    if work.is_none:
        return False
    with display.step("lease") as tell:
        tell(f"run {lease.run}")
        waited = lease.acquire(wait_seconds=wait_seconds, tell=tell)
        if waited or lease.replaced != seen:
            work = check.look(lake)
            tell(f"run {lease.run}, after the other one: {work}")
    with lease:
        if work.is_none:
            lease.release("nothing new")
            return False
        so_far = progress.look(lake)
        compile_queries(lake.spark, so_far.rows + work.new_rows)
        try:
            _steps(lake, lease, work, so_far, display)
        except BaseException as error:
            with suppress(PySparkException):  # a server that is gone can't note it; the first error is the one to show
                lease.release("failed", f"{type(error).__name__}: {error}"[:1000])
            raise
    return True


def _steps(lake: Lake, lease: Lease, work: check.Work, so_far: Progress, display: Display) -> None:
    if any(work.new_objects.values()):
        with display.step("silver") as tell:
            loaded: dict[str, silver.Loaded] = {}
            done: list[Chunk] = []
            are_few = work.new_bytes <= _SIDE_BY_SIDE_BYTES

            def load_one(name: str) -> None:
                loaded[name] = silver.load(
                    lake,
                    EVENT_BY_NAME[name],
                    lease.run,
                    tell,
                    so_far=so_far,
                    done=done.append if are_few else None,
                )

            side_by_side(load_one, EVENT_BY_NAME, len(EVENTS) if are_few else 1)
            if done:
                progress.advance(lake, lease.run, done)
            tell("; ".join(f"{event.name}: {loaded[event.name]}" for event in EVENTS))
    with display.step("questions") as tell:
        tell(questions.answer_if_needed(lake, lease))
    with display.step("quality") as tell:
        tell(str(quality.measure(lake, lease)))
    with display.step("publish") as tell:
        tell(publish.publish(lake, lease))


def main() -> None:
    """Run the batch; exit code 0, also when nothing is new."""
    started = time.monotonic()
    try:
        if run(load()):
            print(f"done in {time.monotonic() - started:.1f} s. The answers: make results")
        else:
            print(f"nothing new ({time.monotonic() - started:.1f} s): silver and the answers are as S3 says")
    except PinlineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except PySparkException as error:
        print(f"the batch failed in Spark: {first_lines(error)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
