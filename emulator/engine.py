"""Runs a sequence: fetches rows ahead, posts events, and writes down what is done, in the order that loses nothing.

Order of writes for an event: acknowledgements → spool (forced to disk) → ledger → position. A kill between any two
repeats the event. At most `concurrency` times `batch_size` events are in flight: a slot takes its next events only
after the position of its last ones was saved.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from emulator.delivery import Delivery, Patience, Unsent
from emulator.draws import Draw, Sequence
from emulator.figures import Figures
from emulator.position import Position
from emulator.rows import Record, SourceEvent
from emulator.spool import Entry, Spool
from emulator.target import Accepted, Failed, Target
from pinline import ledger
from pinline.errors import UnreachableError, UnsentError
from pinline.events import EVENTS, EventType
from pinline.ledger import Acknowledgement

_log = structlog.get_logger(__name__)
_PREFETCHED = 200
_CHECKPOINT_SECONDS = 1.0


class Rows(Protocol):
    """The source of events."""

    def fetch(self, draws: list[Draw]) -> list[SourceEvent]:
        """Return the events of `draws`, in their order. Blocking. Raises UnreachableError, DataError."""


@dataclass(frozen=True)
class Pace:
    """How much and how fast."""

    count: int | None = None
    """Further events of this run; None: until the sequence ends."""
    rate: float | None = None
    """Events a second; None: as fast as possible."""
    pauses: bool = False
    """Wait the course's 0 or 1 s before each event."""
    concurrency: int = 1
    batch_size: int = 1


@dataclass(frozen=True)
class Store:
    """What a run keeps on disk."""

    position: Position
    spool: Spool
    ledger: Path


class Emulation:
    """One run. `run()` returns when all is posted, or after what is in flight once `stop()` was called."""

    def __init__(
        self,
        sequence: Sequence,
        rows: Rows,
        delivery: Delivery,
        store: Store,
        *,
        pace: Pace,
        patience: Patience,
        figures: Figures,
        ending: asyncio.Event,
        target: Target,
    ) -> None:
        self._sequence = sequence
        self._rows = rows
        self._delivery = delivery
        self._store = store
        self._pace = pace
        self._patience = patience
        self._figures = figures
        self._ending = ending
        self._target = target
        self._ready: asyncio.Queue[list[SourceEvent] | None] = asyncio.Queue(
            maxsize=max(2, 2 * _PREFETCHED // pace.batch_size)
        )
        self._turn = asyncio.Lock()
        self._next_at: float | None = None
        self._acknowledged: list[Acknowledgement] = []
        self._committed: asyncio.Future[None] | None = None
        self._failure: Exception | None = None

    def stop(self) -> None:
        """Begin nothing new."""
        self._ending.set()

    async def run(self) -> None:
        """Send the spool, then the sequence from its position on.

        Raises what ended it early (RefusedError, UnreachableError, ...) after all that was in flight is acknowledged,
        spooled, or left to the next run.
        """
        try:
            async with self._checkpoints():
                await self._send_spool()
                if not self._ending.is_set():
                    await self._send_sequence()
        finally:
            self._commit()
            self._store.position.checkpoint()
        if self._failure:
            raise self._failure

    async def _send_spool(self) -> None:
        entries = iter(self._store.spool.entries)

        async def slot() -> None:
            while not self._ending.is_set() and (batch := list(islice(entries, self._pace.batch_size))):
                await self._guarded(self._post_spooled(batch))

        if len(self._store.spool):
            _log.info("sending what an earlier run could not send", records=len(self._store.spool))
            await asyncio.gather(*(slot() for _ in range(self._pace.concurrency)))

    async def _post_spooled(self, batch: list[Entry]) -> None:
        started = time.monotonic()
        numbers = {id(entry.record): entry.number for entry in batch}

        def accepted(record: Record, outcome: Accepted) -> None:
            self._note(record, outcome)
            self._store.spool.sent(numbers[id(record)])
            self._figures.unspooled += 1

        for event in EVENTS:
            records = [entry.record for entry in batch if entry.record.event is event]
            self._judge(await self._delivery.deliver(event, records, accepted), started)
        await self._commit_soon()

    async def _send_sequence(self) -> None:
        self._sequence.seek(self._store.position.next)
        feeder = asyncio.create_task(self._guarded(self._feed()))
        waker = asyncio.create_task(self._wake())
        try:
            await asyncio.gather(*(self._slot() for _ in range(self._pace.concurrency)))
        finally:
            for task in (feeder, waker):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _feed(self) -> None:
        left = self._pace.count
        while left is None or left > 0:
            size = _PREFETCHED if left is None else min(left, _PREFETCHED)
            events = await self._fetch(size)
            if not events:
                break
            if left is not None:
                left -= sum(not self._store.position.is_done(event.draw.number) for event in events)
            for first in range(0, len(events), self._pace.batch_size):
                await self._ready.put(events[first : first + self._pace.batch_size])
        await self._ready.put(None)

    async def _fetch(self, size: int) -> list[SourceEvent]:
        draws: list[Draw] = []
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(UnreachableError),
            stop=stop_after_delay(self._patience.give_up_after),
            wait=wait_random_exponential(multiplier=self._patience.first_wait, max=self._patience.longest_wait),
            before_sleep=lambda state: _log.warning(
                "the source tables can't be read, trying again", reason=str(state.outcome and state.outcome.exception())
            ),
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                draws = draws or await asyncio.to_thread(self._sequence.take, size)
                return await asyncio.to_thread(self._rows.fetch, draws) if draws else []
        return []

    async def _wake(self) -> None:
        """Once the run is to end, drop what was fetched ahead and wake the slots that wait for more."""
        await self._ending.wait()
        while not self._ready.empty():
            self._ready.get_nowait()
        self._ready.put_nowait(None)

    async def _slot(self) -> None:
        while (batch := await self._take()) is not None:
            await self._guarded(self._post(batch))

    async def _take(self) -> list[SourceEvent] | None:
        """Return the next events when their time has come; None at the end. One slot at a time, so in order."""
        async with self._turn:
            while not self._ending.is_set():
                batch = await self._ready.get()
                if batch is None:
                    break
                await self._wait_for_turn(batch)
                if self._ending.is_set():
                    break
                fresh = [event for event in batch if self._store.position.begin(event.draw.number)]
                if fresh:
                    return fresh
            if self._ready.empty():
                self._ready.put_nowait(None)
            return None

    async def _wait_for_turn(self, batch: list[SourceEvent]) -> None:
        seconds = 0.0
        if self._pace.pauses:
            seconds = float(sum(event.draw.pause for event in batch))
        elif self._pace.rate:
            now = time.monotonic()
            # the first goes now; after a hold-up it catches up on one second at most
            self._next_at = now if self._next_at is None else max(self._next_at, now - 1.0)
            seconds = self._next_at - now
            self._next_at += len(batch) / self._pace.rate
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), seconds)

    async def _post(self, batch: list[SourceEvent]) -> None:
        started = time.monotonic()
        unsent: list[Unsent] = []
        for event in EVENTS:
            records = _records(batch, event)
            if unsent and (self._ending.is_set() or self._delivery.silent_since(started)):
                unsent += (Unsent(record, Failed("not tried: the API took nothing before it")) for record in records)
            else:
                unsent += await self._delivery.deliver(event, records, self._note)
        self._figures.spooled += self._store.spool.add(unsent)
        self._count(batch, unsent)
        for source in batch:
            self._store.position.finish(source.draw.number)
        await self._commit_soon()
        self._judge(unsent, started)

    def _note(self, record: Record, accepted: Accepted) -> None:
        self._figures.records += 1
        self._acknowledged.append(
            Acknowledgement(
                record.event.name, record.key, self._target.destination, accepted.partition, accepted.position
            )
        )

    def _count(self, batch: list[SourceEvent], unsent: list[Unsent]) -> None:
        missing = {entry.record.key for entry in unsent}
        for source in batch:
            if not source.records:
                self._figures.empty += 1
            elif source.records[0].key not in missing:
                self._figures.events += 1
            if 0 < len(source.records) < len(EVENTS):
                self._figures.incomplete += 1

    def _judge(self, unsent: list[Unsent], started: float) -> None:
        """End the run when nothing at all gets through: filling the spool would help nobody."""
        if unsent and not self._ending.is_set() and self._delivery.silent_since(started):
            reason = unsent[-1].failed.reason
            raise UnsentError(
                f"the API accepted nothing for {self._patience.give_up_after:g} s ({self._target.setting}), last: "
                f"{reason}. What was in flight is in the spool and goes first in the next run. Try: make status"
            )

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Await `work`; its error ends the run after what is in flight."""
        try:
            await work
        except Exception as error:
            self._failure = self._failure or error
            self.stop()

    async def _commit_soon(self) -> None:
        """Return once what was done is written down, together with what others did in the same turn of the loop."""
        if self._committed is None:
            loop = asyncio.get_running_loop()
            self._committed = loop.create_future()
            loop.call_soon(self._commit)
        await asyncio.shield(self._committed)

    def _commit(self) -> None:
        waiting, self._committed = self._committed, None
        try:
            if self._acknowledged:
                ledger.append(self._store.ledger, self._acknowledged)
                self._acknowledged.clear()
            self._store.spool.flush()
            self._store.position.save()
        except OSError as error:
            if waiting is None:
                raise
            waiting.set_exception(error)
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    @asynccontextmanager
    async def _checkpoints(self) -> AsyncIterator[None]:
        async def each_second() -> None:
            while True:
                await asyncio.sleep(_CHECKPOINT_SECONDS)
                self._store.position.checkpoint()

        task = asyncio.create_task(each_second())
        try:
            yield
        finally:
            task.cancel()


def _records(batch: list[SourceEvent], event: EventType) -> list[Record]:
    return [record for source in batch for record in source.records if record.event is event]
