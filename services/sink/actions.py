"""What a partition wants done outside of itself, and how it is done.

The writer of a partition (partition.py) is pure: it returns one action at a time and is told the outcome.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sink.buffer import DeadLetter
from sink.store import LastObject, ObjectExistsError, ObjectStore, StoreError, last_object


class DeadLetterError(Exception):
    """Kafka did not acknowledge a dead letter; it will be sent again."""


class LogError(Exception):
    """Kafka did not say where a partition's log begins; it will be asked again."""


class DeadLetters(Protocol):
    """Where dead letters go."""

    def send(self, topic: str, partition: int, letters: Sequence[DeadLetter]) -> None:
        """Return when all in-sync replicas have all of them; raises DeadLetterError."""


@dataclass(frozen=True)
class Locate:
    """Find the partition's position: its last object, and where its log begins."""


@dataclass(frozen=True)
class Located:
    """The answer to Locate."""

    log_start: int
    last: LastObject | None


@dataclass(frozen=True)
class Send:
    """Send dead letters."""

    letters: tuple[DeadLetter, ...]


@dataclass(frozen=True)
class Check:
    """See whether objects are still there. Answer: bool."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Put:
    """Write an object that must be new. Answer: True, or False for 412."""

    key: str
    body: bytes
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Resolve:
    """After a 412: what is in the object that is there? Answer: its metadata, or None if it is gone again."""

    key: str


Action = Locate | Send | Check | Put | Resolve
Failure = StoreError | DeadLetterError | LogError
Answer = Located | Mapping[str, str] | bool | None


@dataclass(frozen=True)
class Surroundings:
    """Everything outside of a partition that its actions touch."""

    store: ObjectStore
    dead_letters: DeadLetters
    log_start: Callable[[str, int], int]
    """The first offset of a topic's partition; raises LogError."""
    topics_dir: str


def perform(action: Action, topic: str, partition: int, around: Surroundings) -> Answer | Failure:
    """Do `action` for a partition; failures that may pass are returned, not raised."""
    try:
        match action:
            case Locate():
                start = around.log_start(topic, partition)
                return Located(start, last_object(around.store, around.topics_dir, topic, partition))
            case Send(letters):
                around.dead_letters.send(topic, partition, letters)
                return None
            case Check(keys):
                return all(around.store.head(key) is not None for key in keys)
            case Put(key, body, metadata):
                try:
                    around.store.put_new(key, body, metadata)
                except ObjectExistsError:
                    return False
                return True
            case Resolve(key):
                return around.store.head(key)
    except (StoreError, DeadLetterError, LogError) as failure:
        return failure
