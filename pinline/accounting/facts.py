"""Collect what each hop holds: the ledger, Kafka, the dead letters, S3 and the lake."""

from collections.abc import Callable, Iterator, Set
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from pinline import kafka_log, ledger, object_store
from pinline.accounting.balance import NO_KEY, Acknowledged, Ints, Lake, ObjectLines, Partition
from pinline.accounting.streams import QuarantinedRecord, StreamTables
from pinline.deadletters import Origin
from pinline.events import EVENTS, EventType, dead_letter_topic
from pinline.settings import Settings
from sink.formats import is_null

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from mypy_boto3_s3 import S3Client

_LARGEST = np.iinfo(np.int64).max

Tell = Callable[[str], None]
"""Told what is being read, for a display."""


def acknowledged(settings: Settings, destination: ledger.Destination) -> dict[str, Acknowledged]:
    """Read the ledger: for each event name the distinct keys and the number of distinct records at `destination`."""
    keys: dict[str, set[str]] = {}
    places: dict[str, set[tuple[str, str]]] = {}
    for entry in ledger.read(settings.emulator_dir / ledger.FILE_NAME):
        if entry.destination == destination:
            keys.setdefault(entry.event, set()).add(entry.key)
            places.setdefault(entry.event, set()).add((entry.partition, entry.position))
    return {event: Acknowledged(frozenset(found), len(places[event])) for event, found in keys.items()}


def dead_letters(consumer: "KafkaConsumer", settings: Settings) -> dict[tuple[str, int], set[int]]:
    """Read the dead-letter topic: the distinct offsets, by source topic and partition."""
    topic = dead_letter_topic(settings.user_id)
    found: dict[tuple[str, int], set[int]] = {}
    if topic in consumer.topics():
        for partition, span in kafka_log.ranges(consumer, topic).items():
            for record in kafka_log.scan(consumer, topic, partition, span):
                if origin := Origin.from_headers(record.headers):
                    found.setdefault((origin.topic, origin.partition), set()).add(origin.offset)
    return found


def kafka_partitions(
    consumer: "KafkaConsumer", topic: str, dead: dict[tuple[str, int], set[int]], tell: Tell
) -> dict[int, Partition]:
    """Read every offset of `topic`, and which of them are nulls."""
    partitions = {}
    for number, span in kafka_log.ranges(consumer, topic).items():
        tell(f"Kafka {topic} partition {number}")
        offsets, nulls = [], []
        for record in kafka_log.scan(consumer, topic, number, span):
            offsets.append(record.offset)
            if is_null(record.value):
                nulls.append(record.offset)
        partitions[number] = Partition(_ints(offsets), _ints(nulls), _ints(sorted(dead.get((topic, number), ()))))
    return partitions


def object_lines(s3: "S3Client", settings: Settings, event: EventType, tell: Tell) -> Iterator[ObjectLines]:
    """Yield each object of the event's topic with the key on every line."""
    topic = event.topic(settings.user_id)
    tell(f"S3 {topic}")
    for item in object_store.topic_objects(s3, settings, topic):
        keys = _ints([line_key(event, line) for line in object_store.lines(s3, settings, item.key)])
        yield ObjectLines(item.key, item.partition, item.range, keys)


def lake(settings: Settings) -> dict[str, Lake]:
    """Read silver and quarantine, by event name. Needs the lake's package, which isn't in every image."""
    from lakehouse import inspect

    places, quarantine = inspect.silver_places(settings), inspect.quarantine(settings)
    return {event.name: _lake(places[event.name], quarantine[event.name]) for event in EVENTS}


def stream_tables(settings: Settings) -> dict[str, StreamTables]:
    """Read the streaming side's tables and quarantine, by event name. Needs the lake's package.

    A quarantined record whose text shows no key has the one that the ledger names at its place, if it does.
    """
    from lakehouse import inspect

    keys, quarantine = inspect.stream_keys(settings), inspect.stream_quarantine(settings)
    records = {
        event.name: [QuarantinedRecord(*row.values()) for row in quarantine[event.name].to_pylist()] for event in EVENTS
    }
    keyless = {
        (event, record.shard, record.sequence) for event in records for record in records[event] if record.key is None
    }
    known = _keys_at(settings, keyless) if keyless else {}
    return {
        event.name: StreamTables(
            keys[event.name]["ind"].to_numpy(),
            [
                record._replace(key=record.key or known.get((event.name, record.shard, record.sequence)))
                for record in records[event.name]
            ],
        )
        for event in EVENTS
    }


def _keys_at(settings: Settings, places: Set[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """Return the acknowledged key of each place (event, shard, sequence number) that the ledger has."""
    found = {}
    for entry in ledger.read(settings.emulator_dir / ledger.FILE_NAME):
        place = (entry.event, entry.partition, entry.position)
        if entry.destination == "kinesis" and place in places:
            found[place] = entry.key
    return found


def _lake(places: Any, quarantined: Any) -> Lake:
    """Turn Arrow tables (`ind, _object, _line` and `_object, _line, key`) into sets."""
    keys = places["ind"].to_numpy()
    rows: dict[str, list[tuple[int, int]]] = {}
    for name, line, key in zip(places["_object"].to_pylist(), places["_line"].to_pylist(), keys.tolist(), strict=True):
        rows.setdefault(name, []).append((line, key))
    lines: dict[str, set[int]] = {}
    for name, line in zip(quarantined["_object"].to_pylist(), quarantined["_line"].to_pylist(), strict=True):
        lines.setdefault(name, set()).add(line)
    return Lake(
        keys,
        rows,
        {name: frozenset(found) for name, found in lines.items()},
        frozenset(key for key in quarantined["key"].to_pylist() if key is not None),
    )


def line_key(event: EventType, line: bytes) -> int:
    """Return the event key on a line of JSON, `NO_KEY` if there is none."""
    try:
        value: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return NO_KEY
    key = value.get(event.key_column) if isinstance(value, dict) else None
    return key if type(key) is int and NO_KEY < key <= _LARGEST else NO_KEY


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)
