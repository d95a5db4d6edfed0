"""Own data: `pinterest_data.csv`, `geolocation_data.csv` and `user_data.csv`, read twice: to check, then to load.

UTF-8 with a header line that names the columns in any order; an empty field is NULL. Nothing is taken unless every line
of all three files is valid. Memory holds the keys only (16 bytes a line).
"""

import csv
import hashlib
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

import numpy as np

from pinline.errors import DataError
from pinline.events import EVENTS, Column, EventName, EventType
from seed_data.generate import Chunk, Row
from seed_data.tables import TEXT_BYTES, UNIQUE_ID_LENGTH

SHOWN = 50
"""Errors told one by one; the rest is counted."""
CHUNK_LINES = 10_000

_INTEGER = re.compile(r"[+-]?\d{1,19}")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_BIGINT = 2**63
_RANGES = {"latitude": 90.0, "longitude": 180.0}

csv.field_size_limit(2**20)

Value = int | float | str | datetime | None


class CsvFiles:
    """Three valid files. Make one with `read`."""

    def __init__(self, folder: Path, digest: str, lines: dict[EventName, int], notes: list[str]) -> None:
        """`digest` is of the three files' bytes, `lines` their records by event, `notes` what is allowed but odd."""
        self._folder = folder
        self._digest = digest
        self.lines = lines
        self.notes = notes

    @property
    def fingerprint(self) -> str:
        """What names this content."""
        return f"files sha256={self._digest}"

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows, up to CHUNK_LINES of each table at once. Raises DataError if a file has changed meanwhile."""
        tables = [_row_chunks(event, self._folder) for event in EVENTS]
        for pin, geo, user in zip_longest(*tables, fillvalue=()):
            yield Chunk(list(pin), list(geo), list(user))
        if _digest(self._folder) != self._digest:
            raise DataError(
                f"the files in {self._folder} changed while they were loaded; nothing was kept. Run it again."
            )


@dataclass
class _Problems:
    """Errors as `file:line: column: what`."""

    shown: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, file: str, line: int, column: str, what: str) -> None:
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(f"{file}:{line}: {column}: {what}")


def file_name(event: EventType) -> str:
    """Return the name of an event's file."""
    return f"{event.table}.csv"


def read(folder: Path) -> CsvFiles:
    """Check the three files in `folder` completely.

    Raises DataError that lists the first SHOWN problems, one a line, and the number of the others.
    """
    missing = [file_name(event) for event in EVENTS if not (folder / file_name(event)).is_file()]
    if missing:
        raise DataError(f"{folder} has no {', '.join(missing)}. Expected: {', '.join(map(file_name, EVENTS))}")
    problems = _Problems()
    keys = {event.name: _check(event, folder, problems) for event in EVENTS}
    if problems.count:
        rest = problems.count - len(problems.shown)
        more = [f"... and {rest} more"] if rest else []
        raise DataError("\n".join([f"{problems.count} problems, nothing was loaded:", *problems.shown, *more]))
    lines = {name: len(found) for name, found in keys.items()}
    return CsvFiles(folder, _digest(folder), lines, _incomplete(keys))


def _check(event: EventType, folder: Path, problems: _Problems) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Report every problem of one file; return its keys."""
    name = file_name(event)
    place = event.column_names.index(event.key_column)
    keys, lines = array("q"), array("q")
    try:
        for line, row in _records(event, folder, lambda line, column, what: problems.add(name, line, column, what)):
            key = row[place]
            if isinstance(key, int):
                keys.append(key)
                lines.append(line)
    except UnicodeDecodeError as error:
        problems.add(name, (lines[-1] if lines else 0) + 1, "-", f"not UTF-8 here or soon after ({error.reason})")
    except csv.Error as error:
        problems.add(name, (lines[-1] if lines else 0) + 1, "-", f"not CSV here or soon after: {error}")
    found, at = np.array(keys, dtype=np.int64), np.array(lines, dtype=np.int64)
    order = np.argsort(found, kind="stable")
    found, at = found[order], at[order]
    for second in (np.flatnonzero(found[1:] == found[:-1]) + 1).tolist():
        problems.add(
            name, int(at[second]), event.key_column, f"{found[second]} stands in line {at[second - 1]} already"
        )
    return found


def _records(
    event: EventType, folder: Path, problem: Callable[[int, str, str], object]
) -> Iterator[tuple[int, Sequence[Value]]]:
    """Yield the first line's number and the values of each record; a value that isn't valid is reported and None."""
    with (folder / file_name(event)).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if sorted(header) != sorted(event.column_names):
            problem(1, "-", f"the header is {','.join(header)!r}, expected the columns {','.join(event.column_names)}")
            return
        places = [header.index(column.name) for column in event.columns]
        last = reader.line_num
        for fields in reader:
            line, last = last + 1, reader.line_num
            if not fields:
                continue
            if len(fields) != len(header):
                problem(line, "-", f"{len(fields)} fields, expected {len(header)}")
                continue
            values: list[Value] = []
            for column, place in zip(event.columns, places, strict=True):
                try:
                    values.append(_value(event, column, fields[place]))
                except ValueError as error:
                    problem(line, column.name, str(error))
                    values.append(None)
            yield line, values


def _value(event: EventType, column: Column, written: str) -> Value:
    """Return the value of a field. Raises ValueError that says what is wrong."""
    if written == "":
        if column.name == event.key_column:
            raise ValueError("is empty, and it is the key")
        return None
    if column.json_type == "integer":
        if not _INTEGER.fullmatch(written) or not -_BIGINT <= int(written) < _BIGINT:
            raise ValueError(f"{_short(written)} is not a 64-bit integer")
        return int(written)
    if column.json_type == "number":
        return _number(column.name, written)
    if column.json_type == "timestamp":
        return _timestamp(written)
    if column.name == "unique_id" and len(written) > UNIQUE_ID_LENGTH:
        raise ValueError(f"{len(written)} characters, at most {UNIQUE_ID_LENGTH}")
    if len(written) * 4 > TEXT_BYTES and len(written.encode()) > TEXT_BYTES:
        raise ValueError(f"{len(written.encode())} bytes, at most {TEXT_BYTES}")
    return written


def _number(name: str, written: str) -> float:
    limit = _RANGES.get(name, float("inf"))
    try:
        number = float(written)
    except ValueError:
        raise ValueError(f"{_short(written)} is not a number") from None
    if not -limit <= number <= limit:
        raise ValueError(f"{_short(written)} is not within -{limit:g}..{limit:g}")
    return number


def _timestamp(written: str) -> datetime:
    expected = "expected a time such as 2022-01-01T02:26:50 or 2022-01-01 02:26:50"
    if not _TIMESTAMP.fullmatch(written):
        raise ValueError(f"{_short(written)}: {expected}")
    try:
        value = datetime.fromisoformat(written)
    except ValueError as error:
        raise ValueError(f"{_short(written)}: {error}") from None
    if value.year < 1000:
        raise ValueError(f"{_short(written)}: MySQL's DATETIME begins in the year 1000")
    return value


def _short(written: str) -> str:
    return repr(written if len(written) <= 40 else written[:37] + "...")


def _row_chunks(event: EventType, folder: Path) -> Iterator[list[Row]]:
    def changed(_line: int, column: str, what: str) -> None:
        raise DataError(
            f"{folder / file_name(event)} changed while it was loaded ({column}: {what}); nothing was kept."
        )

    chunk: list[Row] = []
    for _line, values in _records(event, folder, changed):
        chunk.append(tuple(values))
        if len(chunk) == CHUNK_LINES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _incomplete(keys: dict[EventName, np.ndarray[tuple[int], np.dtype[np.int64]]]) -> list[str]:
    """Say which keys of any table another one lacks: such events can't be sent whole."""
    every = np.unique(np.concatenate(list(keys.values())))
    notes = []
    for event in EVENTS:
        lacking = np.setdiff1d(every, keys[event.name], assume_unique=True)
        if len(lacking):
            some = ", ".join(map(str, lacking[:5].tolist())) + (", ..." if len(lacking) > 5 else "")
            notes.append(f"{event.table} lacks {len(lacking)} keys that another table has: {some}")
    return notes


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for event in EVENTS:
        with (folder / file_name(event)).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
