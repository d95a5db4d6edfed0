"""One replay: read the marks, then send what has none, in transactions of bounded size."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from kafka import KafkaProducer

from pinline import aws, fault, kafka_log
from pinline.events import replayed_topic
from pinline.init import make_topics
from pinline.replay.entries import Entry, Place, Unsendable, dead_letters, quarantined
from pinline.replay.marks import Marks, to_record
from pinline.replay.producer import only_producer
from pinline.settings import Settings

if TYPE_CHECKING:
    from kafka import KafkaConsumer

Kind = Literal["dlq", "quarantine"]

_BATCH_RECORDS = 500
_BATCH_BYTES = 4 * 1024 * 1024


@dataclass
class Result:
    """What a replay did, in entries."""

    sent: int = 0
    sent_before: int = 0
    came_back: int = 0
    """Copies of an earlier replay that were set aside again; sent only if asked for."""
    unsendable: list[Unsendable] = field(default_factory=list)


def replay(settings: Settings, kind: Kind, *, again: bool = False, tell: Callable[[str], None]) -> Result:
    """Send every entry of `kind` that has no mark; with `again` also copies that came back. Returns what was done.

    Raises UnreachableError, StateError when another replay took over, or PinlineError; all that was sent until then
    has its mark.
    """
    topic = replayed_topic(settings.user_id)
    make_topics(settings, {topic: 1})
    with only_producer(settings) as producer, kafka_log.connect(settings) as consumer:
        tell("reading the marks")
        marks = Marks.read(consumer, topic)
        result = Result()
        sender = _Sender(settings, producer, marks, result)
        partitions: dict[str, set[int]] = {}
        for entry in _entries(settings, consumer, kind):
            if isinstance(entry, Unsendable):
                result.unsendable.append(entry)
                continue
            if entry.topic not in partitions:
                partitions[entry.topic] = set(consumer.partitions_for_topic(entry.topic) or ())
            if not partitions[entry.topic]:
                result.unsendable.append(Unsendable(entry.name, f"Kafka has no topic {entry.topic}"))
            elif marks.has(entry) or sender.holds(entry):
                result.sent_before += 1
            elif marks.is_copy(entry) and not again:
                result.came_back += 1
            else:
                sender.add(entry, entry.partition if entry.partition in partitions[entry.topic] else None)
                tell(f"{result.sent:,} sent")
        sender.flush()
    return result


def _entries(settings: Settings, consumer: "KafkaConsumer", kind: Kind) -> Iterable[Entry | Unsendable]:
    if kind == "dlq":
        return dead_letters(consumer, settings)
    from lakehouse import inspect  # the lake's package isn't in every image

    return quarantined(consumer, aws.s3_client(settings), settings, inspect.quarantined_lines(settings))


class _Sender:
    """Collects entries and sends them in transactions."""

    def __init__(self, settings: Settings, producer: KafkaProducer, marks: Marks, result: Result) -> None:
        self._settings = settings
        self._producer = producer
        self._marks = marks
        self._result = result
        self._held: list[tuple[Entry, int | None]] = []
        self._names: set[tuple[str, str]] = set()
        self._bytes = 0

    def holds(self, entry: Entry) -> bool:
        """Whether the same entry waits already: a dead letter may have been written twice."""
        return (entry.name, entry.content) in self._names

    def add(self, entry: Entry, partition: int | None) -> None:
        """Send an entry with the next transaction; None lets Kafka choose the partition."""
        self._held.append((entry, partition))
        self._names.add((entry.name, entry.content))
        self._bytes += len(entry.value)
        if len(self._held) >= _BATCH_RECORDS or self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is held: copies and marks in one transaction."""
        if not self._held:
            return
        self._producer.begin_transaction()
        copies = [
            self._producer.send(entry.topic, entry.value, entry.key, partition=partition)
            for entry, partition in self._held
        ]
        self._producer.flush()
        placed = [(e, Place(*_where(copy.get()))) for (e, _), copy in zip(self._held, copies, strict=True)]
        fault.after(self._settings, "replay:sent")
        for entry, copy in placed:
            key, value = to_record(entry, copy)
            self._producer.send(replayed_topic(self._settings.user_id), value, key)
        self._producer.flush()
        fault.after(self._settings, "replay:marked")
        self._producer.commit_transaction()
        for entry, copy in placed:
            self._marks.add(entry, copy)
        self._result.sent += len(placed)
        self._held, self._names, self._bytes = [], set(), 0


def _where(metadata: object) -> tuple[str, int, int]:
    return metadata.topic, metadata.partition, metadata.offset  # type: ignore[attr-defined]
