"""Runs at work: each task waits for those it depends on and for a free place, works as a process, and leaves a result.

At most WORKSPACE_PARALLEL_RUNS tasks work at once, the first come first. Tasks that write the same table never
interleave: the lakehouse's steps take its lease, and of one notebook at most one run works at a time.
"""

import asyncio
import contextlib
import os
import sys
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import structlog

from pinline.errors import DataError
from pinline.settings import Settings
from workspace import processes, work
from workspace.metrics import Metrics
from workspace.store import Life, Result, Run, Store, now
from workspace.work import Ended

log = structlog.get_logger("workspace")

_RELEASE_SECONDS = 30.0
_SERVICE_ENDED = "the workspace service ended while it was at work. Run it again."


@dataclass
class _Order:
    """What ends a run before its time."""

    life: Life
    result: Result
    message: str


@dataclass
class _Work:
    """A run at work: `order` is done when it has to end."""

    order: asyncio.Future[_Order]
    done: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    tasks: dict[str, asyncio.Task[Result]] = field(default_factory=dict)


class Runner:
    """Starts and ends runs; what is known of them is in the store."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._places = asyncio.Semaphore(settings.workspace_parallel_runs)
        self._notebooks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._jobs: dict[int, asyncio.Semaphore] = {}
        self._at_work: dict[int, _Work] = {}

    async def recover(self) -> None:
        """Mark what was at work when the service ended as failed, ending what is left of it; go on with the rest."""
        for run in reversed(self._store.runs(active=True)):
            tasks = self._store.tasks(run.run_id)
            if run.started == 0 and not run.canceled:
                self.start(run.run_id)
                continue
            for task in tasks:
                if task.is_active:
                    await self._lose(task)
            order = _Order("TERMINATED", "CANCELED", "cancelled") if run.canceled else None
            order = order or _Order("INTERNAL_ERROR", "FAILED", _SERVICE_ENDED)
            self._end_run(run, order.life, order.result, order.message)

    async def _lose(self, task: Run) -> None:
        marker = work.marker(self._settings, task.run_id)
        left = await asyncio.to_thread(processes.end_leftovers, marker)
        if task.started:
            await self._release(task)
        self._store.end(task.run_id, "INTERNAL_ERROR", "FAILED", _SERVICE_ENDED)
        log.warning("task_lost", run=task.parent_id, task=task.name, processes=left)

    def start(self, run_id: int) -> None:
        """Have a run work as soon as there is a place."""
        at_work = _Work(asyncio.get_running_loop().create_future())
        self._at_work[run_id] = at_work
        at_work.done = asyncio.create_task(self._run(run_id, at_work))

    def cancel(self, run_id: int) -> None:
        """Cancel a run; it is TERMINATING until its processes have ended. One that has ended stays as it is."""
        if run_id in self._at_work:
            self._store.change(run_id, canceled=True)
            self._order(run_id, _Order("TERMINATED", "CANCELED", "the run was cancelled"))

    async def stop(self) -> None:
        """End all runs at work: the service ends. Those that wait for a place stay, for the next start."""
        ending = []
        for run_id, at_work in list(self._at_work.items()):
            run = self._store.run(run_id)
            if run and run.started:
                self._order(run_id, _Order("INTERNAL_ERROR", "FAILED", _SERVICE_ENDED))
                ending.append(cast("asyncio.Task[None]", at_work.done))
            elif at_work.done:
                at_work.done.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def _order(self, run_id: int, order: _Order) -> None:
        at_work = self._at_work.get(run_id)
        if at_work is None or at_work.order.done():
            return
        at_work.order.set_result(order)
        self._store.change(run_id, life="TERMINATING", message=order.message)

    async def _run(self, run_id: int, at_work: _Work) -> None:
        run = cast("Run", self._store.run(run_id))
        try:
            async with self._job_place(run):
                tasks = self._store.tasks(run_id)
                # every task of asyncio is known before the first one runs
                for task in _in_order(tasks):
                    needs = [at_work.tasks[need["task_key"]] for need in task.spec.get("depends_on", [])]
                    at_work.tasks[task.name] = asyncio.create_task(self._task(run, task, needs, at_work))
                results = await asyncio.gather(*at_work.tasks.values())
            if at_work.order.done():
                order = at_work.order.result()
                self._end_run(run, order.life, order.result, order.message)
            elif all(result == "SUCCESS" for result in results):
                self._end_run(run, "TERMINATED", "SUCCESS", "")
            else:
                self._end_failed(run)
        except asyncio.CancelledError:
            for waiting in at_work.tasks.values():
                waiting.cancel()
            raise
        except Exception as error:
            log.exception("run_broke", run=run_id)
            self._end_run(run, "INTERNAL_ERROR", "FAILED", f"the workspace failed: {error}")
        finally:
            self._at_work.pop(run_id, None)
            if at_work.timer:
                at_work.timer.cancel()

    def _end_failed(self, run: Run) -> None:
        failed = next(task for task in self._store.tasks(run.run_id) if task.result not in ("SUCCESS", None))
        life = "INTERNAL_ERROR" if failed.life == "INTERNAL_ERROR" else "TERMINATED"
        result: Result = "TIMEDOUT" if failed.result == "TIMEDOUT" else "FAILED"
        self._end_run(run, cast("Life", life), result, f"Task {failed.name} failed with message: {failed.message}")

    def _end_run(self, run: Run, life: Life, result: Result, message: str) -> None:
        self._store.end(run.run_id, life, result, message)
        self._metrics.runs.labels(result).inc()
        log.info("run_ended", run=run.run_id, name=run.name, result=result, message=message[:200])

    async def _task(self, run: Run, task: Run, needs: Sequence[asyncio.Task[Result]], at_work: _Work) -> Result:
        """Wait for what the task needs, do it, and write how it ended."""
        doing = asyncio.create_task(self._after(run, task, needs, at_work))
        try:
            await _first(doing, at_work.order)
            if doing.done():
                return doing.result()
            order = at_work.order.result()
            self._store.change(task.run_id, life="TERMINATING", message=order.message)
            doing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await doing
            self._store.end(task.run_id, order.life, order.result, order.message)
            return order.result
        except asyncio.CancelledError:
            doing.cancel()
            raise

    async def _after(self, run: Run, task: Run, needs: Sequence[asyncio.Task[Result]], at_work: _Work) -> Result:
        results = [await asyncio.shield(need) for need in needs]
        if bad := [result for result in results if result != "SUCCESS"]:
            canceled = bad[0] in ("CANCELED", "UPSTREAM_CANCELED")
            result: Result = "UPSTREAM_CANCELED" if canceled else "UPSTREAM_FAILED"
            self._store.end(task.run_id, "TERMINATED", result, "a task that it depends on did not succeed")
            return result
        try:
            file = work.find(self._settings, task)
        except DataError as error:
            self._store.end(task.run_id, "INTERNAL_ERROR", "FAILED", str(error))
            return "FAILED"
        async with self._place(run, task, str(file) if work.is_notebook(task) else None):
            session = str(uuid.uuid4())
            self._store.change(task.run_id, life="RUNNING", started=now(), message="", spark_session=session)
            self._begin(run, at_work)
            task.spark_session = session
            ended = await self._work(run, task, file)
        self._store.end(task.run_id, "TERMINATED", ended.result, ended.error or "")
        return ended.result

    def _begin(self, run: Run, at_work: _Work) -> None:
        """The run works from its first task on; its time limit begins."""
        if run.started:
            return
        run.started = now()
        self._store.change(run.run_id, life="RUNNING", started=run.started, message="")
        if limit := run.spec.get("timeout_seconds"):
            order = _Order("TERMINATED", "TIMEDOUT", f"the run took longer than its timeout_seconds, {limit}")
            at_work.timer = asyncio.get_running_loop().call_later(limit, self._order, run.run_id, order)

    async def _work(self, run: Run, task: Run, file: Path) -> Ended:
        """Do a task as a process. When it is cancelled, or the time is up, its Spark work ends too."""
        left = work.files(self._settings, task.run_id)
        command = work.command(self._settings, run, task, file, os.getpid())
        process = await processes.start(command, work.environment(self._settings, task), file.parent, left.log)
        self._store.change(task.run_id, pid=process.pid)
        log.info("task_started", run=run.run_id, task=task.name, task_run=task.run_id, pid=process.pid)
        limit = task.spec.get("timeout_seconds") or None
        try:
            async with asyncio.timeout(limit):
                code = await process.wait()
        except TimeoutError:
            await self._stop(process, task)
            return Ended("TIMEDOUT", f"the task took longer than its timeout_seconds, {limit}")
        except asyncio.CancelledError:
            await self._stop(process, task)
            raise
        found = work.ended(self._settings, task, code)
        if code < 0 or (code != 0 and not work.is_notebook(task)):
            await self._release(task)
        return found

    async def _stop(self, process: processes.TaskProcess, task: Run) -> None:
        grace = work.NOTEBOOK_GRACE_SECONDS if work.is_notebook(task) else work.PYTHON_GRACE_SECONDS
        await process.end(grace)
        if not (work.is_notebook(task) and work.files(self._settings, task.run_id).result.exists()):
            await self._release(task)

    async def _release(self, task: Run) -> None:
        """End the task's session on the Spark server, with what runs there."""
        session = work.session_of(self._settings, task)
        if session is None or self._settings.spark_remote is None:
            return
        left = work.files(self._settings, task.run_id)
        environment = work.environment(self._settings, task) | {"SPARK_REMOTE": self._settings.spark_remote}
        command = [sys.executable, "-m", "workspace.release", session]
        process = await processes.start(command, environment, left.folder, left.folder / "release.log")
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await process.wait()
        except TimeoutError:
            await process.end(1)
            log.warning("session_not_released", task_run=task.run_id, session=session)

    @contextlib.asynccontextmanager
    async def _job_place(self, run: Run) -> AsyncIterator[None]:
        """Wait until the job's `max_concurrent_runs` allows the run."""
        if not run.job_id:
            yield
            return
        limit = run.spec.get("max_concurrent_runs", 1)
        place = self._jobs.setdefault(run.job_id, asyncio.Semaphore(limit))
        at_work = self._at_work[run.run_id]
        if place.locked():
            self._store.change(run.run_id, life="QUEUED", message=f"waits for another run of job {run.job_id}")
        waiting = asyncio.create_task(place.acquire())
        await _first(waiting, at_work.order)
        if not waiting.done():
            waiting.cancel()
            yield
            return
        try:
            yield
        finally:
            place.release()

    @contextlib.asynccontextmanager
    async def _place(self, run: Run, task: Run, notebook: str | None) -> AsyncIterator[None]:
        """Wait until the task may work."""
        lock = self._notebooks[notebook] if notebook else asyncio.Lock()
        if lock.locked():
            self._queue(run, task, "waits for another run of the same notebook")
        async with lock:
            if self._places.locked():
                limit = self._settings.workspace_parallel_runs
                self._queue(run, task, f"waits for a place: WORKSPACE_PARALLEL_RUNS={limit} tasks are at work")
            async with self._places:
                work.files(self._settings, task.run_id).folder.mkdir(parents=True, exist_ok=True)
                with self._metrics.tasks.track_inprogress():
                    yield

    def _queue(self, run: Run, task: Run, why: str) -> None:
        self._store.change(task.run_id, life="QUEUED", message=why)
        if not run.started:
            self._store.change(run.run_id, life="QUEUED", message=why)


async def _first(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of them is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _in_order(tasks: Sequence[Run]) -> list[Run]:
    """Return tasks so that each comes after those it depends on."""
    left: Mapping[str, Run] = {task.name: task for task in tasks}
    ordered: list[Run] = []
    while left:
        free = [task for task in left.values() if not {need["task_key"] for need in _needs(task)} & left.keys()]
        ordered += free
        left = {name: task for name, task in left.items() if task not in free}
    return ordered


def _needs(task: Run) -> list[dict[str, str]]:
    return list(task.spec.get("depends_on", []))
