"""Writes many rows fast: LOAD DATA LOCAL if the server takes it, INSERT of many rows if it refuses (MySQL's default).

All of a writer's rows are one transaction: MariaDB fills an empty table in bulk only until the first commit.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from sqlalchemy import Engine, Table, insert
from sqlalchemy.exc import DBAPIError

from pinline.errors import DataError
from seed_data.generate import Row

_LOCAL_INFILE_REFUSED = {1148, 2068, 3948, 4166}
_INSERT_ROWS = 1_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


class BulkWriter:
    """One connection of its own, a context manager. Not for two threads at once."""

    def __init__(self, engine: Engine) -> None:
        """`engine` connects with `local_infile` on; the server decides."""
        self._engine = engine
        self.local_infile = True
        """False once the server has refused LOAD DATA LOCAL."""

    def __enter__(self) -> "BulkWriter":
        """Connect."""
        self._connection = self._engine.connect()
        # MariaDB's condition for filling an empty table in bulk
        self._connection.exec_driver_sql("SET SESSION unique_checks = 0, foreign_key_checks = 0")
        self._folder = TemporaryDirectory(prefix="pinline-seed-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Disconnect; what was not committed is gone. The session has no checks, so it isn't used again."""
        self._connection.invalidate()
        self._connection.close()
        self._folder.cleanup()

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Append rows, values in the order of the table's columns. Raises DataError if the server took less of them."""
        if self.local_infile:
            try:
                self._load(table, rows)
                return
            except DBAPIError as error:
                if not error.orig or error.orig.args[0] not in _LOCAL_INFILE_REFUSED:
                    raise
                self._connection.rollback()
                self.local_infile = False
        for first in range(0, len(rows), _INSERT_ROWS):
            values = [dict(zip(table.columns.keys(), row, strict=True)) for row in rows[first : first + _INSERT_ROWS]]
            self._connection.execute(insert(table), values)

    def _load(self, table: Table, rows: Sequence[Row]) -> None:
        path = Path(self._folder.name, table.name)
        path.write_text("".join(map(_line, rows)), encoding="utf-8", newline="")
        columns = ", ".join(f"`{name}`" for name in table.columns.keys())  # noqa: SIM118  # a collection of columns
        result = self._connection.exec_driver_sql(
            f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE `{table.name}` CHARACTER SET utf8mb4 ({columns})"
        )
        # LOCAL turns errors into warnings, so a value that doesn't fit would be changed silently
        warnings = self._connection.exec_driver_sql("SHOW WARNINGS LIMIT 3").all()
        if warnings or result.rowcount != len(rows):
            self._connection.rollback()
            raise DataError(f"{table.name}: the server stored {result.rowcount} of {len(rows)} rows: {warnings}")

    def commit(self) -> None:
        """Keep what was written."""
        self._connection.commit()


def _line(row: Row) -> str:
    line = "\t".join([value if type(value) is str else _field(value) for value in row])
    if "\\" in line or line.count("\t") != len(row) - 1 or "\n" in line or "\r" in line or "\0" in line:
        line = "\t".join([value.translate(_ESCAPES) if isinstance(value, str) else _field(value) for value in row])
    # only a lone \N is NULL, and _field alone writes one
    return line + "\n"


def _field(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return str(value)
