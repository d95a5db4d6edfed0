"""Records that could not be sent, on disk until they are. They are sent first in the next run.

A file of JSON lines: `{"id", "event", "key", "reason", "value"}` for a record, `{"id", "sent": true}` once it was
acknowledged after all. A torn last line, left by a kill, is no entry: the position had not moved past its event then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from emulator import files
from emulator.delivery import Unsent
from emulator.rows import Record
from pinline.events import EVENT_BY_NAME


@dataclass(frozen=True, slots=True)
class Entry:
    """One record in the spool."""

    number: int
    record: Record
    reason: str


class Spool:
    """The spool in `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = self._load()
        self._next = max(self._entries, default=-1) + 1
        self._sent: list[int] = []
        self._compact()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Sequence[Entry]:
        """What is unsent, oldest first."""
        return list(self._entries.values())

    def add(self, unsent: Iterable[Unsent]) -> int:
        """Keep records; they are on the disk when this returns. Returns their number."""
        added = [
            Entry(number, entry.record, entry.failed.reason) for number, entry in enumerate(unsent, start=self._next)
        ]
        if added:
            files.append_lines(self._path, b"".join(_line(entry) for entry in added))
            self._entries |= {entry.number: entry for entry in added}
            self._next += len(added)
        return len(added)

    def sent(self, number: int) -> None:
        """Note that an entry was acknowledged; `flush` writes it."""
        del self._entries[number]
        self._sent.append(number)

    def flush(self) -> None:
        """Write which entries were sent."""
        if self._sent:
            lines = b"".join(orjson.dumps({"id": number, "sent": True}) + b"\n" for number in self._sent)
            files.append_lines(self._path, lines)
            self._sent.clear()

    def _load(self) -> dict[int, Entry]:
        entries: dict[int, Entry] = {}
        if not self._path.exists():
            return entries
        with self._path.open("rb") as file:
            for line in file:
                try:
                    found = orjson.loads(line)
                    if found.get("sent"):
                        entries.pop(found["id"], None)
                        continue
                    record = Record(EVENT_BY_NAME[found["event"]], found["key"], orjson.dumps(found["value"]))
                except (orjson.JSONDecodeError, KeyError, AttributeError):
                    continue
                entries[found["id"]] = Entry(found["id"], record, found["reason"])
        return entries

    def _compact(self) -> None:
        if self._path.exists():
            files.replace(self._path, b"".join(_line(entry) for entry in self._entries.values()))


def _line(entry: Entry) -> bytes:
    fields = {
        "id": entry.number,
        "event": entry.record.event.name,
        "key": entry.record.key,
        "reason": entry.reason,
        "value": orjson.Fragment(entry.record.value),
    }
    return orjson.dumps(fields) + b"\n"
