"""Wires runs together: settings, files, database, session, signals. Commands choose sequence, targets and pace.

A run posts the sequence to one target, with a position and a spool of its own. Several go side by side and know nothing
of each other, but that an error of one, or a signal, ends all after what is in flight.
"""

import asyncio
import contextlib
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import aiohttp

from emulator import files
from emulator.delivery import Delivery, Patience
from emulator.display import Display, display_for
from emulator.draws import COURSE_MAX_INDEX, COURSE_SEED, RandomSequence, Sequence, TableSequence
from emulator.engine import Emulation, Pace, Store
from emulator.figures import Figures
from emulator.position import Position
from emulator.rows import SourceRows
from emulator.spool import Spool
from emulator.target import Target
from pinline import ledger
from pinline.errors import SettingsError
from pinline.mysql import reader_engine
from pinline.settings import Settings

EXIT_UNSENT = 3
"""The run ended, and the spool holds records that the API has not accepted."""


@dataclass(frozen=True)
class Order:
    """Which sequence, and where in it to begin."""

    kind: str = "random"
    seed: int = COURSE_SEED
    max_index: int | None = None
    start: int | None = None
    restart: bool = False


def run(
    settings: Settings, targets: Iterable[Target], order: Order, pace: Pace, patience: Patience | None = None
) -> int:
    """Post a sequence to each of `targets`; return the exit code: 0, or EXIT_UNSENT.

    Raises PinlineError when a run can't begin or had to end early, KeyboardInterrupt at the second signal.
    """
    display = display_for(settings)
    with files.only_process(settings.emulator_dir), contextlib.ExitStack() as stack:
        runs = []
        for target in targets:
            source = stack.enter_context(contextlib.closing(_Source(settings)))
            runs.append(_prepare(settings, target, source.rows, order, pace, patience or Patience(), display))
        with display.shown():
            return asyncio.run(_all(runs))


def choose_sequence(order: Order, rows: SourceRows, last: int) -> tuple[Sequence, str]:
    """Return the sequence and a remark on its bounds; `last` is the highest index of the tables."""
    if order.kind == "sequential":
        return TableSequence(rows.indexes), f"indexes in order, the last is {last}"
    bound = min(COURSE_MAX_INDEX, last) if order.max_index is None else order.max_index
    if bound > last:
        raise SettingsError(f"--max-index {bound} is beyond the tables: their last index is {last}")
    note = f"draws over 0..{bound} of 0..{last} (--max-index)"
    if order.max_index is None and last < COURSE_MAX_INDEX:
        note += f": not the course's draws, which need indexes up to {COURSE_MAX_INDEX}"
    return RandomSequence(order.seed, bound), note


def open_store(settings: Settings, target: Target, sequence: Sequence, *, anew: bool = False) -> Store:
    """Return what is kept in Settings.emulator_dir: a position a sequence, one spool a destination, one ledger."""
    folder = settings.emulator_dir
    owner = f"{target.destination}-{settings.user_id}"
    for name in ("position", "spool"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Store(
        Position(folder / "position", f"{owner}-{sequence.name}", anew=anew),
        Spool(folder / "spool" / f"{owner}.jsonl"),
        folder / ledger.FILE_NAME,
    )


class _Source:
    def __init__(self, settings: Settings) -> None:
        # a thread at a time reads
        self._engine = reader_engine(settings, pool_size=1, connect_args={"read_timeout": 30})
        self.rows = SourceRows(self._engine, settings)

    def close(self) -> None:
        self._engine.dispose()


@dataclass
class _Run:
    target: Target
    sequence: Sequence
    rows: SourceRows
    store: Store
    pace: Pace
    patience: Patience
    display: Display
    total: int | None
    note: str

    async def main(self, ending: asyncio.Event) -> int:
        """Post until the sequence, the count or `ending` ends it; an error sets `ending`."""
        try:
            return await self._post(ending)
        except BaseException:
            ending.set()
            raise

    async def _post(self, ending: asyncio.Event) -> int:
        figures = Figures()
        connector = aiohttp.TCPConnector(limit=self.pace.concurrency, keepalive_timeout=30)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            delivery = Delivery(session, self.target, self.patience, figures, ending)
            await delivery.probe()
            emulation = Emulation(
                self.sequence,
                self.rows,
                delivery,
                self.store,
                pace=self.pace,
                patience=self.patience,
                figures=figures,
                ending=ending,
                target=self.target,
            )
            said = "ended early"
            try:
                async with self.display.following(self.target.destination, figures, self.total):
                    await emulation.run()
                said = self._result(ending, self.note)
            finally:
                self.display.summary(self.target.destination, figures, len(self.store.spool), said)
        return EXIT_UNSENT if len(self.store.spool) else 0

    def _result(self, ending: asyncio.Event, note: str) -> str:
        position = self.store.position.next
        if ending.is_set():
            return f"stopped; {self.sequence.name} goes on at {position}; {note}"
        if isinstance(self.sequence, TableSequence) and not self.sequence.take(1):
            return f"all events were posted; {note}. Again from the first: --restart"
        return f"done; {self.sequence.name} goes on at {position}; {note}"


def _prepare(
    settings: Settings,
    target: Target,
    rows: SourceRows,
    order: Order,
    pace: Pace,
    patience: Patience,
    display: Display,
) -> _Run:
    last = rows.last_index()
    sequence, note = choose_sequence(order, rows, last)
    anew = order.restart or order.start is not None
    store = open_store(settings, target, sequence, anew=anew)
    if anew:
        store.position.restart(order.start or 0)
    total = _total(order, pace, store.position.next, last)
    return _Run(target, sequence, rows, store, pace, patience, display, total, note)


async def _all(runs: Iterable[_Run]) -> int:
    """Do all runs at once; return the highest exit code, raise the first error."""
    ending = asyncio.Event()
    with _signals(ending):
        ended = await asyncio.gather(*(run.main(ending) for run in runs), return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome
    return max(code for code in ended if isinstance(code, int))


@contextlib.contextmanager
def _signals(ending: asyncio.Event) -> Iterator[None]:
    """End after what is in flight at the first SIGINT or SIGTERM, at once at the second."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    seen = 0

    def signalled() -> None:
        nonlocal seen
        seen += 1
        if seen > 1 and task is not None:
            task.cancel()
        ending.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _total(order: Order, pace: Pace, position: int, last: int) -> int | None:
    if order.kind != "sequential":
        return pace.count
    left = max(last + 1 - position, 0)
    return left if pace.count is None else min(left, pace.count)
