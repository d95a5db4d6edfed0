"""Send what the streaming job set aside to its stream again, each record once.

Kinesis knows no transaction with Kafka: that a put begins is noted first, the record is put, and marked then. Killed
in between, the next replay looks into the stream whether the noted record is there before it sends it. The marks are
those of every replay, and so is the producer, which ends a replay that is still running.
"""

import base64
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kafka import KafkaProducer

from pinline import aws, fault, kafka_log
from pinline.events import EVENT_BY_NAME, replayed_topic
from pinline.init import make_topics
from pinline.replay import copies
from pinline.replay.entries import Entry, Place, Unsendable
from pinline.replay.marks import Marks, to_note, to_record
from pinline.replay.producer import only_producer
from pinline.replay.run import Result
from pinline.settings import Settings

_AT_ONCE = 4
"""Records of at most a megabyte each, within what one request takes."""


def replay_stream(settings: Settings, *, again: bool = False, tell: Callable[[str], None]) -> Result:
    """Put every quarantined record that has no mark; with `again` also copies that came back. Returns what was done.

    Raises UnreachableError, StateError when another replay took over, or PinlineError; all that was sent until then
    has its mark or is found by the next replay.
    """
    return put_again(settings, quarantined_records(settings), again=again, tell=tell)


def quarantined_records(settings: Settings) -> Iterator[Entry]:
    """Yield an entry for each record of the stream's quarantine."""
    from lakehouse import inspect  # the lake's package isn't in every image
    from lakehouse.schemas import NOT_TEXT

    for row in inspect.stream_quarantined_records(settings):
        stream = EVENT_BY_NAME[row["event"]].stream(settings.user_id)
        place = Place(stream, row["shard"], row["sequence"])
        value = base64.b64decode(row["raw"]) if row["reason"] == NOT_TEXT else row["raw"].encode()
        yield Entry(f"{stream} {place.partition}@{place.offset}", stream, 0, None, value, place)


def put_again(
    settings: Settings, entries: Iterable[Entry], *, again: bool = False, tell: Callable[[str], None]
) -> Result:
    """Put `entries` that have no mark, and mark them; `replay_stream` says the rest."""
    topic = replayed_topic(settings.user_id)
    make_topics(settings, {topic: 1})
    with only_producer(settings) as producer:
        tell("reading the marks")
        with kafka_log.connect(settings) as consumer:
            marks = Marks.read(consumer, topic)
        sender = _Sender(settings, producer, marks)
        found = list(entries)
        tell("looking for what a killed replay sent")
        sender.mark_what_was_put([entry for entry in found if not marks.has(entry)])
        due = []
        for entry in found:
            if marks.has(entry):
                sender.result.sent_before += 1
            elif marks.is_copy(entry) and not again:
                sender.result.came_back += 1
            else:
                due.append(entry)
        for start in range(0, len(due), _AT_ONCE):
            sender.send(due[start : start + _AT_ONCE])
            tell(f"{sender.result.sent:,} sent")
    return sender.result


class _Sender:
    """Notes, puts and marks."""

    def __init__(self, settings: Settings, producer: KafkaProducer, marks: Marks) -> None:
        self.result = Result()
        self._settings = settings
        self._producer = producer
        self._marks = marks
        # tried once: a put that failed may have been stored, which the next replay looks after
        self._once = aws.kinesis_client(settings, attempts=1)

    def mark_what_was_put(self, entries: list[Entry]) -> None:
        """Mark those of `entries` that an earlier replay put and couldn't mark."""
        with aws.kinesis_errors(self._settings):
            self._mark(list(copies.find(aws.kinesis_client(self._settings), self._marks, entries)))

    def send(self, group: list[Entry]) -> None:
        """Put some records, by stream."""
        by_stream: dict[str, list[Entry]] = {}
        for entry in group:
            by_stream.setdefault(entry.topic, []).append(entry)
        for stream, entries in by_stream.items():
            now_ms = time.time_ns() // 1_000_000
            self._write(to_note(entry, now_ms) for entry in entries)
            fault.after(self._settings, "replay:noted")
            # the key that it had is not known any more, and is the event key only if the emulator sent it
            records = [{"Data": entry.value, "PartitionKey": entry.content} for entry in entries]
            with aws.kinesis_errors(self._settings):
                answer = self._once.put_records(StreamName=stream, Records=records)
            fault.after(self._settings, "replay:put")
            self._mark(list(self._put(stream, entries, answer["Records"])))

    def _put(self, stream: str, entries: list[Entry], answers: list[dict[str, Any]]) -> Iterator[tuple[Entry, Place]]:
        for entry, put in zip(entries, answers, strict=True):
            if "SequenceNumber" in put:
                self.result.sent += 1
                yield entry, Place(stream, put["ShardId"], put["SequenceNumber"])
            else:
                self.result.unsendable.append(Unsendable(entry.name, f"{put['ErrorCode']}: {put['ErrorMessage']}"))

    def _mark(self, placed: list[tuple[Entry, Place]]) -> None:
        if placed:
            self._write(to_record(entry, copy) for entry, copy in placed)
        for entry, copy in placed:
            self._marks.add(entry, copy)

    def _write(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        self._producer.begin_transaction()
        for key, value in records:
            self._producer.send(replayed_topic(self._settings.user_id), value, key)
        self._producer.flush()
        self._producer.commit_transaction()
