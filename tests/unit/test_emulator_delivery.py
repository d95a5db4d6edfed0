"""Runs against a real HTTP server on this machine that fails as a script says."""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from emulator.delivery import Delivery, Patience
from emulator.draws import Draw, RandomSequence, Sequence, TableSequence
from emulator.engine import Emulation, Pace, Store
from emulator.figures import Figures
from emulator.position import Position
from emulator.rows import Record, SourceEvent
from emulator.spool import Spool
from emulator.target import KafkaRest
from pinline import ledger
from pinline.errors import PinlineError, RefusedError, UnreachableError, UnsentError
from pinline.events import EVENTS

pytestmark = pytest.mark.unit

QUICK = Patience(answer=0.5, connection=0.5, give_up_after=20, first_wait=0.002, longest_wait=0.02)
HASTY = Patience(answer=0.5, connection=0.5, give_up_after=0.2, first_wait=0.002, longest_wait=0.02)

Answering = Callable[["Api", web.Request, str, list[dict[str, Any]]], Awaitable[web.StreamResponse]]


class MemoryRows:
    """Rows of the indexes below `size`."""

    def __init__(self, size: int) -> None:
        self._size = size

    def fetch(self, draws: list[Draw]) -> list[SourceEvent]:
        return [SourceEvent(draw, self._records(draw.index)) for draw in draws]

    def indexes(self, first: int, size: int) -> list[int]:
        return list(range(first, min(first + size, self._size)))

    def _records(self, index: int) -> tuple[Record, ...]:
        if index >= self._size:
            return ()
        return tuple(Record(event, str(index), b'{"%b":%d}' % (event.key_column.encode(), index)) for event in EVENTS)


@dataclass
class Api:
    """A Kafka REST proxy whose next answers are `script`; after them it accepts everything."""

    script: Iterator[Answering] = field(default_factory=lambda: iter(()))
    stored: list[tuple[str, str]] = field(default_factory=list)
    """Topic and key of each record that was written, whether the answer arrived or not."""
    asked: int = 0
    begun: list[float] = field(default_factory=list)
    """When each request came, in seconds (monotonic)."""

    def accept(self, topic: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = len(self.stored)
        self.stored += [(topic, record["key"]) for record in records]
        return [{"partition": 0, "offset": first + n, "error_code": None, "error": None} for n in range(len(records))]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.begun.append(time.monotonic())
        topic, records = request.match_info["topic"], (await request.json())["records"]
        scripted = next(self.script, None)
        if scripted is not None:
            return await scripted(self, request, topic, records)
        return web.json_response({"offsets": self.accept(topic, records)})

    @property
    def copies(self) -> Counter[tuple[str, str]]:
        return Counter(self.stored)


def status(code: int, **headers: str) -> Answering:
    async def answering(_api: Api, _request: web.Request, _topic: str, _records: object) -> web.Response:
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"message": "scripted"}, status=code, headers=shown)

    return answering


def record_error(code: int, positions: set[int]) -> Answering:
    async def answering(api: Api, _request: web.Request, topic: str, records: list[dict[str, Any]]) -> web.Response:
        failed = {"partition": None, "offset": None, "error_code": code, "error": "scripted"}
        entries = [failed if n in positions else api.accept(topic, [record])[0] for n, record in enumerate(records)]
        return web.json_response({"offsets": entries})

    return answering


async def cut(api: Api, request: web.Request, topic: str, records: list[dict[str, Any]]) -> web.StreamResponse:
    """Accept, and break the connection in the middle of the answer."""
    api.accept(topic, records)
    response = web.StreamResponse(headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'{"offsets":[{"partition":0')
    assert request.transport is not None
    request.transport.abort()
    return response


async def hang(_api: Api, _request: web.Request, _topic: str, _records: object) -> web.Response:
    """Answer later than anybody waits."""
    await asyncio.Event().wait()
    raise AssertionError


@dataclass
class Run:
    """What one run left."""

    store: Store
    figures: Figures
    error: BaseException | None = None

    @property
    def ledger(self) -> Counter[tuple[str, str]]:
        return Counter((entry.event, entry.key) for entry in ledger.read(self.store.ledger))


def open_store(folder: Path) -> Store:
    return Store(Position(folder, "p"), Spool(folder / "spool.jsonl"), folder / "ledger.tsv")


@contextmanager
def serving(api: Api) -> Iterator[str]:
    """Serve `api` from a thread; yields its API_INVOKE_URL."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, str]] = Future()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/dev/topics/{topic}", api.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        ended = asyncio.Event()
        started.set_result((asyncio.get_running_loop(), ended, f"http://{host}:{port}/dev"))
        await ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    loop, ended, url = started.result(10)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)


def post(
    api: Api,
    folder: Path,
    *,
    rows: MemoryRows | None = None,
    sequence: Sequence | None = None,
    pace: Pace = Pace(count=10),  # noqa: B008  # frozen
    patience: Patience = QUICK,
    during: Callable[[Emulation, Store], None] | None = None,
) -> Run:
    """One run of the emulator, from its files to its end; its error is returned."""
    rows = rows or MemoryRows(10_000)
    sequence = sequence or TableSequence(rows.indexes)
    run = Run(open_store(folder), Figures())

    async def main(url: str) -> None:
        ending = asyncio.Event()
        async with aiohttp.ClientSession() as session:
            emulation = Emulation(
                sequence,
                rows,
                Delivery(session, KafkaRest(url, "anna"), patience, run.figures, ending),
                run.store,
                pace=pace,
                patience=patience,
                figures=run.figures,
                ending=ending,
                target=KafkaRest("http://api/dev", "u"),
            )
            if during:
                during(emulation, run.store)
            await emulation.run()

    with serving(api) as url:
        try:
            asyncio.run(main(url))
        except PinlineError as error:
            run.error = error
    return run


def all_of(indexes: range) -> set[tuple[str, str]]:
    return {(f"anna.{event.name}", str(index)) for index in indexes for event in EVENTS}


def test_every_event_is_posted_once_to_its_three_topics_and_stands_in_the_ledger(tmp_path: Path) -> None:
    api = Api()
    run = post(api, tmp_path, pace=Pace(count=300, concurrency=8))
    assert run.error is None
    assert api.copies == Counter(all_of(range(300)))
    assert run.ledger == Counter({(topic.removeprefix("anna."), key): 1 for topic, key in all_of(range(300))})
    assert run.store.position.next == 300
    assert (run.figures.events, run.figures.records, run.figures.retries) == (300, 900, 0)


def test_one_event_at_a_time_goes_pin_geo_user(tmp_path: Path) -> None:
    api = Api()
    post(api, tmp_path, pace=Pace(count=2))
    assert [topic for topic, _ in api.stored] == ["anna.pin", "anna.geo", "anna.user"] * 2


def test_a_batch_holds_records_of_one_event_type(tmp_path: Path) -> None:
    api = Api()
    run = post(api, tmp_path, pace=Pace(count=100, batch_size=40))
    assert run.error is None
    assert api.copies == Counter(all_of(range(100)))
    assert api.asked == 9


@pytest.mark.parametrize("fault", [status(429), status(503), status(500), record_error(50003, {0}), cut, hang])
def test_a_fault_that_passes_loses_nothing(tmp_path: Path, fault: Answering) -> None:
    api = Api(iter([fault] * 4))
    run = post(api, tmp_path, pace=Pace(count=20, concurrency=4))
    assert run.error is None
    assert set(api.copies) == all_of(range(20))
    assert len(run.store.spool) == 0
    assert run.figures.retries >= 4
    assert api.copies.total() == 60 + (4 if fault is cut else 0)
    assert run.store.position.next == 20


def test_retry_after_holds_back_every_request(tmp_path: Path) -> None:
    api = Api(iter([status(429, Retry_After="1")]))
    run = post(api, tmp_path, pace=Pace(count=40, concurrency=2))
    assert run.figures.seconds >= 1
    assert api.asked == 121
    too_soon = [begun for begun in api.begun[1:] if begun < api.begun[0] + 0.9]
    assert len(too_soon) <= 2, "the other slot may have had a request or two under way"


def test_only_the_failed_records_of_a_batch_are_sent_again(tmp_path: Path) -> None:
    api = Api(iter([record_error(50003, {1, 3})]))
    run = post(api, tmp_path, pace=Pace(count=5, batch_size=5))
    assert api.copies == Counter(all_of(range(5)))
    assert run.figures.retries == 2


def test_a_record_that_kafka_rejects_ends_in_the_spool_and_the_run_goes_on(tmp_path: Path) -> None:
    api = Api(iter([record_error(50002, {0})] * 5))
    run = post(api, tmp_path, pace=Pace(count=3))
    assert run.error is None
    assert [(entry.record.event.name, entry.record.key) for entry in run.store.spool.entries] == [("pin", "0")]
    assert set(api.copies) == all_of(range(3)) - {("anna.pin", "0")}
    assert run.store.position.next == 3


def test_what_the_spool_holds_is_sent_first(tmp_path: Path) -> None:
    post(Api(iter([record_error(50002, {0})] * 5)), tmp_path, pace=Pace(count=1))
    api = Api()
    run = post(api, tmp_path, pace=Pace(count=1))
    assert api.stored[0] == ("anna.pin", "0")
    assert set(api.copies) == {("anna.pin", "0")} | all_of(range(1, 2))
    assert len(open_store(tmp_path).spool) == 0
    assert run.figures.unspooled == 1


def test_a_dead_api_ends_the_run_with_what_was_in_flight_in_the_spool(tmp_path: Path) -> None:
    api = Api(iter(lambda: status(503), None))
    run = post(api, tmp_path, pace=Pace(count=100, concurrency=3), patience=HASTY)
    assert isinstance(run.error, UnsentError)
    assert run.error.exit_code == 3
    spooled = {(f"anna.{e.record.event.name}", e.record.key) for e in run.store.spool.entries}
    assert spooled == all_of(range(run.store.position.next))
    assert 1 <= run.store.position.next <= 3

    alive = Api()
    post(alive, tmp_path, pace=Pace(count=100 - run.store.position.next, concurrency=3))
    assert alive.copies == Counter(all_of(range(100)))


@pytest.mark.parametrize("code", [403, 404, 415])
def test_a_refusal_ends_the_run_at_once_and_the_event_is_not_passed(tmp_path: Path, code: int) -> None:
    api = Api(iter([*[status(503)] * 2, status(code)]))
    run = post(api, tmp_path)
    assert isinstance(run.error, RefusedError)
    assert open_store(tmp_path).position.next == 0
    assert len(run.store.spool) == 0
    repaired = Api()
    post(repaired, tmp_path)
    assert repaired.copies == Counter(all_of(range(10)))


def test_the_end_of_the_table_ends_the_run_and_a_second_one_posts_nothing(tmp_path: Path) -> None:
    api, rows = Api(), MemoryRows(250)
    assert post(api, tmp_path, rows=rows, pace=Pace(concurrency=4)).error is None
    assert post(api, tmp_path, rows=rows, pace=Pace(concurrency=4)).error is None
    assert api.copies == Counter(all_of(range(250)))


def test_a_random_index_without_rows_is_counted_and_passed(tmp_path: Path) -> None:
    api = Api()
    run = post(api, tmp_path, rows=MemoryRows(10), sequence=RandomSequence(1, 19), pace=Pace(count=40))
    assert run.error is None
    assert run.figures.empty > 0
    assert run.figures.events + run.figures.empty == 40


def test_the_rate_is_kept(tmp_path: Path) -> None:
    run = post(Api(), tmp_path, pace=Pace(count=20, rate=40, concurrency=4))
    assert run.figures.seconds >= 19 / 40


def test_a_stop_ends_after_what_is_in_flight(tmp_path: Path) -> None:
    api = Api()

    def stop_at_twenty(emulation: Emulation, store: Store) -> None:
        finish = store.position.finish

        def finishing(number: int) -> None:
            finish(number)
            if number == 20:
                emulation.stop()

        store.position.finish = finishing  # type: ignore[method-assign]

    run = post(api, tmp_path, pace=Pace(concurrency=4), during=stop_at_twenty)
    assert run.error is None
    assert api.copies == Counter(all_of(range(run.store.position.next)))
    assert 20 < run.store.position.next <= 26


def test_a_source_that_stays_away_is_an_error_after_patience(tmp_path: Path) -> None:
    class Away(MemoryRows):
        def fetch(self, draws: list[Draw]) -> list[SourceEvent]:
            raise UnreachableError("MySQL", "127.0.0.1:3306", "RDS_HOST", "refused")

    run = post(Api(), tmp_path, rows=Away(10), patience=HASTY)
    assert isinstance(run.error, UnreachableError)


def test_a_source_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    class Flickering(MemoryRows):
        asked = 0

        def fetch(self, draws: list[Draw]) -> list[SourceEvent]:
            self.asked += 1
            if self.asked % 2:
                raise UnreachableError("MySQL", "127.0.0.1:3306", "RDS_HOST", "gone away")
            return super().fetch(draws)

    api = Api()
    run = post(api, tmp_path, rows=Flickering(450), pace=Pace(concurrency=2))
    assert run.error is None
    assert api.copies == Counter(all_of(range(450)))


KILLED = 137


@pytest.mark.parametrize("step", ["after the answer", "before the ledger", "before the position", "after the position"])
@pytest.mark.parametrize("order", ["random", "sequential"])
def test_a_kill_at_any_step_repeats_at_most_what_was_in_flight(tmp_path: Path, step: str, order: str) -> None:
    concurrency, batch, kills = 4, 2, 4
    pace = Pace(concurrency=concurrency, batch_size=batch)
    api, rows = Api(), MemoryRows(200)
    with serving(api) as url:
        for _ in range(kills):
            sequence = RandomSequence(3, 199) if order == "random" else TableSequence(rows.indexes)
            assert _killed_run(url, tmp_path, rows, sequence, step, pace) == KILLED
    done = Position(tmp_path, "p").next
    assert done >= 30 * (kills - 1)
    drawn = [draw.index for draw in RandomSequence(3, 199).take(done)]
    wanted = drawn if order == "random" else list(range(done))
    needed = Counter((f"anna.{event.name}", str(index)) for index in wanted for event in EVENTS)
    assert not needed - api.copies
    assert api.copies.total() - needed.total() <= kills * 3 * concurrency * batch
    written = Counter((f"anna.{entry.event}", entry.key) for entry in ledger.read(tmp_path / "ledger.tsv"))
    assert not written - api.copies
    assert set(needed) <= set(written)


def _killed_run(url: str, folder: Path, rows: MemoryRows, sequence: Sequence, step: str, pace: Pace) -> int:
    """A process of its own that dies at `step`, without any clean-up, once 30 further events are done."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        store = open_store(folder)
        asyncio.run(_run_and_die(url, store, rows, sequence, step, pace))
    finally:
        os._exit(1)


async def _run_and_die(url: str, store: Store, rows: MemoryRows, sequence: Sequence, step: str, pace: Pace) -> None:
    ending, figures = asyncio.Event(), Figures()
    due = store.position.next + 30

    def dying(wrapped: Callable[..., None], before: str, after: str = "") -> Callable[..., None]:
        def step_by_step(*arguments: Any) -> None:
            if step == before and store.position.next >= due:
                os._exit(KILLED)
            wrapped(*arguments)
            if step == after and store.position.next >= due:
                os._exit(KILLED)

        return step_by_step

    store.position.save = dying(store.position.save, "before the position", "after the position")  # type: ignore[method-assign]
    store.position.finish = dying(store.position.finish, "before the ledger")  # type: ignore[method-assign]
    async with aiohttp.ClientSession() as session:
        delivery = Delivery(session, KafkaRest(url, "anna"), QUICK, figures, ending)
        emulation = Emulation(
            sequence,
            rows,
            delivery,
            store,
            pace=pace,
            patience=QUICK,
            figures=figures,
            ending=ending,
            target=KafkaRest("http://api/dev", "u"),
        )
        emulation._note = dying(emulation._note, "after the answer")  # type: ignore[method-assign]
        await emulation.run()
