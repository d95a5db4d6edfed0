"""The ledger of acknowledgements: what the API said that it had accepted. Accounting's left side.

An append-only text file, one line an acknowledged record, parted by tabs:
`<event> <key> <destination> <partition> <position>`. Destination is `kafka` or `kinesis`; position is an offset or a
sequence number. A line is written after the acknowledgement, so a record may be acknowledged and not be in the ledger
(killed in between), never the other way. A torn last line, left by a kill, is no entry.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

FILE_NAME = "ledger.tsv"
Destination = Literal["kafka", "kinesis"]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One record that was accepted."""

    event: str
    key: str
    destination: Destination
    partition: str
    """Kafka partition number, or Kinesis shard id."""
    position: str
    """Kafka offset, or Kinesis sequence number."""


def append(path: Path, entries: Iterable[Acknowledgement]) -> None:
    """Append entries in one write. A torn last line of an earlier process is ended first."""
    lines = "".join(f"{e.event}\t{e.key}\t{e.destination}\t{e.partition}\t{e.position}\n" for e in entries)
    with path.open("a+b") as file:
        if file.tell() and not _ends_line(file):
            lines = "\n" + lines
        file.write(lines.encode())


def read(path: Path) -> Iterator[Acknowledgement]:
    """Yield the entries of a ledger in the order of writing; none if there is no file."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == 5 and line.endswith("\n") and fields[2] in ("kafka", "kinesis"):
                yield Acknowledgement(fields[0], fields[1], fields[2], fields[3], fields[4])  # type: ignore[arg-type]


def _ends_line(file: BinaryIO) -> bool:
    file.seek(-1, 2)
    return file.read(1) == b"\n"
