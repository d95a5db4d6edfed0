"""Sequences: which events are posted, in which order, each with a number that a position can remember.

A random sequence makes the course's draws (`random.seed(100)`, then `randrange(0, 2)` seconds of pause and `randint(0,
11000)` in turn, from one generator), so that the same seed gives everybody the same events. A sequential one walks the
keys of the tables.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

COURSE_SEED = 100
COURSE_MAX_INDEX = 11_000


@dataclass(frozen=True, slots=True)
class Draw:
    """One event to post."""

    number: int
    """Its place in the sequence: counted from 0 in a random one, the event's index in a sequential one."""
    index: int
    """The key of its three rows."""
    pause: int
    """Seconds that the course's script waits before it."""


class Sequence(Protocol):
    """A repeatable order of events."""

    @property
    def name(self) -> str:
        """What makes it this sequence and no other, fit for a file name."""

    def seek(self, number: int) -> None:
        """Let the next draw be `number`."""

    def take(self, size: int) -> list[Draw]:
        """Return the next draws, at most `size`; an empty list is the end."""


class RandomSequence:
    """The course's draws from `seed`, over the indexes 0 to `max_index` (both may be drawn). It never ends."""

    def __init__(self, seed: int = COURSE_SEED, max_index: int = COURSE_MAX_INDEX) -> None:
        self._seed = seed
        self._max_index = max_index
        self.seek(0)

    @property
    def name(self) -> str:
        """Seed and bound: another bound gives other draws."""
        return f"random-seed{self._seed}-max{self._max_index}"

    def seek(self, number: int) -> None:
        """Draw again from the seed up to `number` (about a second for a million)."""
        self._random = random.Random(self._seed)  # noqa: S311  # repeatable on purpose
        self._number = 0
        for _ in range(number):
            self._draw()

    def take(self, size: int) -> list[Draw]:
        """Return the next `size` draws."""
        return [self._draw() for _ in range(size)]

    def _draw(self) -> Draw:
        pause = self._random.randrange(0, 2)
        draw = Draw(self._number, self._random.randint(0, self._max_index), pause)
        self._number += 1
        return draw


class TableSequence:
    """Every index of the tables in ascending order; it ends with the last.

    `indexes(first, size)` returns at most `size` indexes from `first` on, in order.
    """

    name = "sequential"

    def __init__(self, indexes: Callable[[int, int], list[int]]) -> None:
        self._indexes = indexes
        self._next = 0

    def seek(self, number: int) -> None:
        """Go on with the first index that is not below `number`."""
        self._next = number

    def take(self, size: int) -> list[Draw]:
        """Return the next draws; their number is the index."""
        found = self._indexes(self._next, size)
        if found:
            self._next = found[-1] + 1
        return [Draw(index, index, 0) for index in found]
