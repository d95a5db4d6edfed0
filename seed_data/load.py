"""Replaces the three tables by new rows: all or nothing, and nothing at all when they are there already.

Rows go to staging tables; one RENAME, which MySQL does atomically, puts them and their fingerprint in place. A load
that dies leaves the tables as they were; the next one starts anew. A named lock keeps two loads apart.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from sqlalchemy import Connection, Engine, insert, select, text
from sqlalchemy.exc import DBAPIError

from pinline.errors import PinlineError, StateError, UnreachableError
from pinline.events import EVENTS
from pinline.mysql import admin_engine, reader_engine
from pinline.settings import Settings
from seed_data import tables
from seed_data.bulk import BulkWriter
from seed_data.generate import Chunk
from seed_data.guard import Guard

_log = structlog.get_logger(__name__)
_LOCK = "pinline_seed"
_CANNOT_CONNECT = {2002, 2003, 2005, 2006, 2013}
_ACCESS_DENIED = {1044, 1045, 1698}
_UNKNOWN_DATABASE = 1049

Progress = Callable[[int], object]
"""Is told how many more rows (of all three tables) are written."""


class Source(Protocol):
    """Rows to load."""

    @property
    def fingerprint(self) -> str:
        """What names this content; equal content, equal fingerprint."""

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows. The three lists of a chunk need not have equal lengths."""


@dataclass(frozen=True)
class Loaded:
    """What a load did."""

    rows: int
    """Of all three tables; 0 if they were there already."""
    events: int
    """Rows of `pinterest_data` now."""
    already_there: bool


def load(
    settings: Settings, source: Source, progress: Progress = lambda _rows: None, *, if_empty: bool = False
) -> Loaded:
    """Make `source` the content of the database; with `if_empty` only if no table holds a row.

    Raises UnreachableError (MySQL or S3), StateError (events of other content are stored, another load is running, no
    bucket) and SettingsError (no admin user). Whatever it raises, the tables are as they were.
    """
    guard = Guard(settings)
    engine = admin_engine(settings, connect_args={"local_infile": True})
    try:
        with _exclusive(settings, engine) as connection:
            if if_empty and not tables.is_empty(connection):
                return Loaded(0, tables.posts(connection), already_there=True)
            guard.check(source.fingerprint)
            tables.METADATA.create_all(connection)
            connection.commit()
            present = connection.execute(select(tables.SEED.c.fingerprint, tables.SEED.c.events)).one_or_none()
            if present and present.fingerprint == source.fingerprint:
                loaded = Loaded(0, present.events, already_there=True)
            else:
                loaded = _replace(engine, connection, source, progress)
            guard.remember(source.fingerprint, loaded.events)
            _let_reader_read(settings, connection)
            return loaded
    except DBAPIError as error:
        raise connection_problem(settings, error) from error
    finally:
        engine.dispose()


@contextmanager
def _exclusive(settings: Settings, engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        if not connection.scalar(text("SELECT GET_LOCK(:name, 0)"), {"name": f"{_LOCK}.{settings.rds_database}"[:64]}):
            raise StateError("another load is running; wait until it has ended, then: make seed")
        connection.commit()
        yield connection


def connection_problem(settings: Settings, error: DBAPIError) -> PinlineError:
    """Return what to tell about a connection that MySQL did not give."""
    code, *rest = error.orig.args if error.orig else (0, str(error))
    address = f"{settings.rds_host}:{settings.rds_port}"
    if code in _ACCESS_DENIED:
        return StateError(f"MySQL at {address} refuses {settings.rds_admin_user} (RDS_ADMIN_USER): {rest[0]}")
    if code == _UNKNOWN_DATABASE:
        return StateError(
            f"MySQL at {address} has no database {settings.rds_database} (RDS_DATABASE). Locally `make up` creates it; "
            f"on RDS: CREATE DATABASE {settings.rds_database}"
        )
    if code in _CANNOT_CONNECT:
        return UnreachableError("MySQL", address, "RDS_HOST, RDS_PORT", rest[-1] if rest else error)
    return PinlineError(f"MySQL at {address} answered with an error: {error.orig}")


def _replace(engine: Engine, connection: Connection, source: Source, progress: Progress) -> Loaded:
    tables.STAGING_METADATA.drop_all(connection)
    tables.STAGING_METADATA.create_all(connection)
    connection.commit()
    written = {event.name: 0 for event in EVENTS}
    with BulkWriter(engine) as writer, ThreadPoolExecutor(1) as background:
        pending: Future[None] | None = None
        # rows are made while the server stores those before them; one chunk waits, so memory stays bounded
        for chunk in source.chunks():
            if pending:
                pending.result()
            pending = background.submit(_write, writer, chunk, progress)
            for event in EVENTS:
                written[event.name] += len(chunk.rows(event.name))
        if pending:
            pending.result()
        writer.commit()
    connection.execute(
        insert(tables.SEED_STAGING).values(
            id=1,
            fingerprint=source.fingerprint,
            events=written["pin"],
            loaded_at=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        )
    )
    connection.commit()
    _swap(connection)
    return Loaded(sum(written.values()), written["pin"], already_there=False)


def _write(writer: BulkWriter, chunk: Chunk, progress: Progress) -> None:
    for event in EVENTS:
        rows = chunk.rows(event.name)
        if rows:
            writer.write(tables.STAGING[event.name], rows)
            progress(len(rows))


def _swap(connection: Connection) -> None:
    names = [table.name for table in tables.METADATA.sorted_tables]
    old = ", ".join(f"{name}_old" for name in names)
    connection.execute(text(f"DROP TABLE IF EXISTS {old}"))
    moves = [f"{name} TO {name}_old, {name}_staging TO {name}" for name in names]
    connection.execute(text(f"RENAME TABLE {', '.join(moves)}"))
    connection.execute(text(f"DROP TABLE {old}"))
    connection.commit()


def _let_reader_read(settings: Settings, connection: Connection) -> None:
    """Grant SELECT to RDS_USER unless it reads already, as it does locally; elsewhere that may take somebody else."""
    if settings.rds_password is None or settings.rds_user == settings.rds_admin_user or _reader_reads(settings):
        return
    database = connection.dialect.identifier_preparer.quote_identifier(settings.rds_database)
    try:
        connection.execute(text(f"GRANT SELECT ON {database}.* TO :user@'%'"), {"user": settings.rds_user})
        connection.commit()
    except DBAPIError as error:
        connection.rollback()
        _log.warning(
            "RDS_USER cannot read and could not be granted it",
            user=settings.rds_user,
            cause=str(error.orig),
            next=f"GRANT SELECT ON {settings.rds_database}.* TO '{settings.rds_user}'@'%'",
        )


def _reader_reads(settings: Settings) -> bool:
    engine = reader_engine(settings)
    try:
        with engine.connect() as connection:
            connection.execute(select(tables.SEED.c.id)).all()
        return True
    except DBAPIError:
        return False
    finally:
        engine.dispose()
