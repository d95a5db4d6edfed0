"""How far a sequence is done: the low-water mark, and what is done above it.

Events begin in the order of their numbers and end in any order. `next` is the lowest number that may be undone, so it
moves past an event only when that one and all before it are done; numbers above it that are done already are kept
beside it and not posted again. Saved after each step by one write (a kill loses nothing); a copy that is replaced on
the disk follows once a second, so that after a power failure the position is at most that old: events come twice then,
none is left out.
"""

from collections import deque
from pathlib import Path
from zlib import crc32

import orjson

from emulator import files
from pinline.errors import StateError


class Position:
    """The position of one sequence, in `<folder>/<name>.json` and its forced copy `<name>.saved.json`."""

    def __init__(self, folder: Path, name: str, *, anew: bool = False) -> None:
        self._name = name
        self._path = folder / f"{name}.json"
        self._copy = folder / f"{name}.saved.json"
        self._begun: deque[int] = deque()
        self._done: set[int] = set()
        self.next = 0
        if not anew:
            self._load()

    def restart(self, number: int = 0) -> None:
        """Forget what is done: go on with `number`."""
        self.next = number
        self._done.clear()
        self.save()
        self.checkpoint()

    def is_done(self, number: int) -> bool:
        """Whether an event above the mark is done."""
        return number in self._done

    def begin(self, number: int) -> bool:
        """Note that the event `number`, higher than all before, is to be posted; False if an earlier run did that."""
        self._begun.append(number)
        if number in self._done:
            self._advance()
            return False
        return True

    def finish(self, number: int) -> None:
        """Note that each record of an event is acknowledged or spooled."""
        self._done.add(number)
        self._advance()

    def save(self) -> None:
        """Save for the case that this process dies."""
        files.overwrite(self._path, self._content())

    def checkpoint(self) -> None:
        """Save for the case that the machine dies."""
        files.replace(self._copy, self._content())

    def _advance(self) -> None:
        while self._begun and self._begun[0] in self._done:
            number = self._begun.popleft()
            self._done.remove(number)
            self.next = number + 1

    def _content(self) -> bytes:
        done = sorted(self._done)
        return orjson.dumps({"sequence": self._name, "next": self.next, "done": done, "check": _check(self.next, done)})

    def _load(self) -> None:
        torn = []
        for path in (self._path, self._copy):
            if not path.exists():
                continue
            try:
                found = orjson.loads(path.read_bytes())
                number, done = found["next"], found["done"]
                whole = found["check"] == _check(number, done)
            except (ValueError, KeyError, TypeError):
                whole = False
            if whole:
                self.next, self._done = number, set(done)
                return
            torn.append(path)
        if torn:
            raise StateError(
                f"the position in {' and '.join(str(path) for path in torn)} can't be read. "
                "Begin the sequence anew (--restart): what was posted comes twice then."
            )


def _check(number: int, done: list[int]) -> int:
    return crc32(orjson.dumps([number, done]))
