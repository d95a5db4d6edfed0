"""Send what the streaming job set aside to its stream again, each record once.

A record is put first and marked then (Kinesis knows no transaction with Kafka): killed in between, the next replay
puts it again, which the streaming job drops as a duplicate if it is right now. The marks are those of every replay.
"""

import base64
from collections.abc import Callable, Iterator
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from pinline import aws, fault, kafka_log
from pinline.errors import PinlineError
from pinline.events import EVENT_BY_NAME, replayed_topic
from pinline.init import make_topics
from pinline.kafka import kafka_python_config
from pinline.replay.entries import Entry, Place, Unsendable
from pinline.replay.marks import Marks, to_record
from pinline.replay.run import Result
from pinline.settings import Settings

_AT_ONCE = 4
"""Records of at most a megabyte each, within what one request takes."""


def replay_stream(settings: Settings, *, again: bool = False, tell: Callable[[str], None]) -> Result:
    """Put every quarantined record that has no mark; with `again` also copies that came back. Returns what was done.

    Raises UnreachableError, StateError or PinlineError; all that was sent until then has its mark.
    """
    make_topics(settings, {replayed_topic(settings.user_id): 1})
    result = Result()
    with kafka_log.connect(settings) as consumer:
        tell("reading the marks")
        marks = Marks.read(consumer, replayed_topic(settings.user_id))
    due = []
    for entry in _entries(settings):
        if marks.has(entry):
            result.sent_before += 1
        elif marks.is_copy(entry) and not again:
            result.came_back += 1
        else:
            due.append(entry)
    if due:
        _send(settings, due, result, tell)
    return result


def _entries(settings: Settings) -> Iterator[Entry]:
    from lakehouse import inspect  # the lake's package isn't in every image
    from lakehouse.schemas import NOT_TEXT

    for row in inspect.stream_quarantined_records(settings):
        stream = EVENT_BY_NAME[row["event"]].stream(settings.user_id)
        place = Place(stream, row["shard"], row["sequence"])
        value = base64.b64decode(row["raw"]) if row["reason"] == NOT_TEXT else row["raw"].encode()
        yield Entry(f"{stream} {place.partition}@{place.offset}", stream, 0, None, value, place)


def _send(settings: Settings, due: list[Entry], result: Result, tell: Callable[[str], None]) -> None:
    client = aws.kinesis_client(settings)
    producer = KafkaProducer(**kafka_python_config(settings), acks="all")
    try:
        for start in range(0, len(due), _AT_ONCE):
            _send_some(settings, client, producer, due[start : start + _AT_ONCE], result)
            tell(f"{result.sent:,} sent")
    except KafkaError as error:
        raise PinlineError(f"marking what was sent failed: {error}. Run it again for the rest.") from error
    finally:
        producer.close(timeout=5)


def _send_some(settings: Settings, client: Any, producer: KafkaProducer, group: list[Entry], result: Result) -> None:
    by_stream: dict[str, list[Entry]] = {}
    for entry in group:
        by_stream.setdefault(entry.topic, []).append(entry)
    for stream, entries in by_stream.items():
        # the key that it had is not known any more, and is the event key only if the emulator sent it
        records = [{"Data": entry.value, "PartitionKey": entry.content} for entry in entries]
        with aws.kinesis_errors(settings):
            answer = client.put_records(StreamName=stream, Records=records)
        fault.after(settings, "replay:put")
        for entry, put in zip(entries, answer["Records"], strict=True):
            if "SequenceNumber" not in put:
                result.unsendable.append(Unsendable(entry.name, f"{put['ErrorCode']}: {put['ErrorMessage']}"))
                continue
            key, value = to_record(entry, Place(stream, put["ShardId"], put["SequenceNumber"]))
            producer.send(replayed_topic(settings.user_id), value, key)
            result.sent += 1
        producer.flush()
