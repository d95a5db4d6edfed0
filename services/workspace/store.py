"""Runs and jobs, kept in SQLite: what was asked for, and how far it is. Every change is on disk when the call returns.

A run and its tasks are rows of one table, as a task's run has an id of its own in the API.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import JSON, Engine, ForeignKey, UniqueConstraint, create_engine, delete, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

Life = Literal["PENDING", "QUEUED", "RUNNING", "TERMINATING", "TERMINATED", "SKIPPED", "INTERNAL_ERROR"]
Result = Literal["SUCCESS", "FAILED", "TIMEDOUT", "CANCELED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED"]
ACTIVE: tuple[Life, ...] = ("PENDING", "QUEUED", "RUNNING", "TERMINATING")


class _Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012  # SQLAlchemy's own way


class Job(_Base):
    """A job; `deleted` ones keep their runs."""

    __tablename__ = "job"
    job_id: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[int]
    settings: Mapped[dict[str, Any]]
    name: Mapped[str]
    deleted: Mapped[bool] = mapped_column(default=False)


class Run(_Base):
    """A run, or (with a parent) the run of one of its tasks. Times are ms since 1970; 0 means not yet."""

    __tablename__ = "run"
    __table_args__ = (UniqueConstraint("job_id", "token"), {"sqlite_autoincrement": True})
    run_id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("run.run_id"), index=True)
    job_id: Mapped[int] = mapped_column(default=0)
    """0 for a run that was submitted without a job."""
    token: Mapped[str | None]
    name: Mapped[str]
    """A task's is its key."""
    spec: Mapped[dict[str, Any]]
    """What was asked for: of a run its parameters and time limit, of a task the task."""
    created: Mapped[int]
    started: Mapped[int] = mapped_column(default=0)
    ended: Mapped[int] = mapped_column(default=0)
    life: Mapped[str] = mapped_column(default="PENDING")
    result: Mapped[str | None]
    message: Mapped[str] = mapped_column(default="")
    canceled: Mapped[bool] = mapped_column(default=False)
    pid: Mapped[int | None]
    spark_session: Mapped[str | None]

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.life in ACTIVE

    @property
    def seconds(self) -> float:
        """How long it has worked so far."""
        return ((self.ended or now()) - self.started) / 1000 if self.started else 0.0


def now() -> int:
    """Return the time in ms since 1970."""
    return int(time.time() * 1000)


class Store:
    """The database."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._engine = _engine(file)
        _Base.metadata.create_all(self._engine)
        self._session = sessionmaker(self._engine, expire_on_commit=False)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def check(self) -> None:
        """Ask the database something."""
        with self._session() as session:
            session.execute(select(1))

    def add_job(self, settings: dict[str, Any]) -> Job:
        """Keep a new job."""
        with self._session.begin() as session:
            job = Job(created=now(), settings=settings, name=settings["name"])
            session.add(job)
        return job

    def job(self, job_id: int) -> Job | None:
        """Return a job that isn't deleted."""
        with self._session() as session:
            job = session.get(Job, job_id)
        return None if job is None or job.deleted else job

    def jobs(self, limit: int, offset: int, name: str | None) -> Sequence[Job]:
        """Return jobs, the newest first."""
        wanted = select(Job).where(Job.deleted.is_(False)).order_by(Job.job_id.desc())
        if name is not None:
            wanted = wanted.where(func.lower(Job.name) == name.lower())
        with self._session() as session:
            return session.scalars(wanted.limit(limit).offset(offset)).all()

    def delete_job(self, job_id: int) -> None:
        """Have the job found no more."""
        with self._session.begin() as session:
            session.get_one(Job, job_id).deleted = True

    def add_run(
        self, name: str, spec: dict[str, Any], tasks: Iterable[dict[str, Any]], *, job_id: int = 0, token: str | None
    ) -> tuple[Run, bool]:
        """Keep a new run with its tasks, all PENDING; or return the one that has the token. Whether it is new."""
        with self._session.begin() as session:
            if token and (known := session.scalar(select(Run).where(Run.token == token, Run.job_id == job_id))):
                return known, False
            run = Run(name=name, spec=spec, job_id=job_id, token=token, created=now())
            session.add(run)
            session.flush()
            for task in tasks:
                session.add(
                    Run(parent_id=run.run_id, name=task["task_key"], spec=task, job_id=job_id, created=run.created)
                )
        return run, True

    def run(self, run_id: int) -> Run | None:
        """Return a run, or a task's."""
        with self._session() as session:
            return session.get(Run, run_id)

    def tasks(self, run_id: int) -> Sequence[Run]:
        """Return the runs of a run's tasks, in the order in which they were given."""
        with self._session() as session:
            return session.scalars(select(Run).where(Run.parent_id == run_id).order_by(Run.run_id)).all()

    def runs(
        self,
        *,
        limit: int | None = None,
        offset: int = 0,
        job_id: int | None = None,
        active: bool | None = None,
        submitted: bool | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> Sequence[Run]:
        """Return runs (not the tasks'), the newest first."""
        wanted = select(Run).where(Run.parent_id.is_(None)).order_by(Run.run_id.desc())
        if job_id is not None:
            wanted = wanted.where(Run.job_id == job_id)
        if active is not None:
            wanted = wanted.where(Run.life.in_(ACTIVE) if active else Run.life.not_in(ACTIVE))
        if submitted is not None:
            wanted = wanted.where((Run.job_id == 0) if submitted else (Run.job_id != 0))
        if since is not None:
            wanted = wanted.where(Run.created >= since)
        if until is not None:
            wanted = wanted.where(Run.created <= until)
        with self._session() as session:
            return session.scalars(wanted.limit(limit).offset(offset)).all()

    def ended_before(self, time: int) -> Sequence[Run]:
        """Return runs (not the tasks') that ended before a time in ms."""
        wanted = select(Run).where(Run.parent_id.is_(None), Run.ended > 0, Run.ended < time)
        with self._session() as session:
            return session.scalars(wanted).all()

    def forget(self, run_id: int) -> None:
        """Have a run and its tasks found no more; their ids are not given again."""
        with self._session.begin() as session:
            session.execute(delete(Run).where(Run.parent_id == run_id))
            session.execute(delete(Run).where(Run.run_id == run_id))

    def change(self, run_id: int, **values: object) -> None:
        """Change columns of a run or a task's."""
        with self._session.begin() as session:
            run = session.get_one(Run, run_id)
            for name, value in values.items():
                setattr(run, name, value)

    def end(self, run_id: int, life: Life, result: Result | None, message: str = "") -> None:
        """Write how a run or a task's ended."""
        self.change(run_id, life=life, result=result, message=message[:8000], ended=now(), pid=None)


def _engine(file: Path) -> Engine:
    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA busy_timeout=5000")

    return engine
