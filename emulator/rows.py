"""The source: rows of the three tables by key, each already as the JSON that is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from emulator.draws import Draw
from pinline.errors import DataError, PinlineError, SettingsError, UnreachableError
from pinline.events import EVENTS, EventType, json_default
from pinline.settings import Settings

_REFUSED_LOGIN = {1044, 1045, 1698}
_NO_DATABASE_OR_TABLE = {1049, 1146}


@dataclass(frozen=True, slots=True)
class Record:
    """One row on its way."""

    event: EventType
    key: str
    value: bytes
    """The row as a JSON object, columns in the table's order."""


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """The up to three rows of one key, in the order pin, geo, user."""

    draw: Draw
    records: tuple[Record, ...]


class SourceRows:
    """Reads the tables through one pooled engine. Blocking: call it in a thread.

    Each method raises UnreachableError when the server doesn't answer (worth another try), another PinlineError
    when asking again can't help.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def last_index(self) -> int:
        """Return the highest index of the three tables. Raises DataError if they are empty."""
        tables = " UNION ALL ".join(f"SELECT MAX(`{e.key_column}`) AS k FROM `{e.table}`" for e in EVENTS)  # noqa: S608
        (found,) = self._query(f"SELECT MAX(k) FROM ({tables}) AS t", {})[0]  # noqa: S608  # names of the contract
        if found is None:
            raise DataError(f"the table {EVENTS[0].table} is empty: there is nothing to post. Fill it: make seed")
        return int(found)

    def indexes(self, first: int, size: int) -> list[int]:
        """Return at most `size` indexes from `first` on, in ascending order, of all three tables."""
        tables = " UNION ".join(
            f"(SELECT `{e.key_column}` AS k FROM `{e.table}`"  # noqa: S608
            f" WHERE `{e.key_column}` >= :first ORDER BY `{e.key_column}` LIMIT :size)"
            for e in EVENTS
        )
        return [row[0] for row in self._query(f"{tables} ORDER BY k LIMIT :size", {"first": first, "size": size})]

    def fetch(self, draws: Sequence[Draw]) -> list[SourceEvent]:
        """Return the events of `draws`, in their order; an index that a table lacks gives no record of that table."""
        wanted = ",".join(str(index) for index in sorted({draw.index for draw in draws}))
        found = [self._records(event, wanted) for event in EVENTS] if wanted else []
        return [
            SourceEvent(draw, tuple(record for table in found if (record := table.get(draw.index)))) for draw in draws
        ]

    def _records(self, event: EventType, wanted: str) -> dict[int, Record]:
        names = event.column_names
        columns = ",".join(f"`{name}`" for name in names)
        rows = self._query(
            f"SELECT {columns} FROM `{event.table}` WHERE `{event.key_column}` IN ({wanted})",  # noqa: S608  # integers
            {},
        )
        key = names.index(event.key_column)
        return {row[key]: Record(event, str(row[key]), _json(names, row)) for row in rows}

    def _query(self, statement: str, parameters: dict[str, int]) -> list[tuple[Any, ...]]:
        try:
            with self._engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(statement), parameters)]
        except DBAPIError as error:
            raise self._explain(error) from error

    def _explain(self, error: DBAPIError) -> PinlineError:
        settings = self._settings
        code = error.orig.args[0] if error.orig is not None and error.orig.args else None
        if code in _REFUSED_LOGIN:
            return SettingsError(
                f"MySQL at {settings.rds_host}:{settings.rds_port} refused RDS_USER {settings.rds_user}: {error.orig}. "
                "Check RDS_USER and RDS_PASSWORD."
            )
        if code in _NO_DATABASE_OR_TABLE:
            return DataError(f"the source database (RDS_DATABASE) is not complete: {error.orig}. Fill it: make seed")
        if isinstance(error, OperationalError | InterfaceError) and not isinstance(error, ProgrammingError):
            address = f"{settings.rds_host}:{settings.rds_port}"
            return UnreachableError("MySQL", address, "RDS_HOST, RDS_PORT", error.orig)
        return PinlineError(f"reading the source tables failed: {error.orig}")


def _json(names: tuple[str, ...], row: tuple[Any, ...]) -> bytes:
    return orjson.dumps(dict(zip(names, row, strict=True)), default=json_default)
