"""Follow one event through the pipeline: every place that it is in, copies included."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import column, select, table

from pinline import aws, kafka_log, ledger, object_store
from pinline.accounting.facts import line_key
from pinline.events import EVENTS, EventType
from pinline.mysql import reader_engine
from pinline.objects import parse_key, partition_prefix
from pinline.settings import Settings

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from mypy_boto3_s3 import S3Client


@dataclass
class Places:
    """Where one event of one type is."""

    source: Mapping[str, Any] | None = None
    acknowledged: list[ledger.Acknowledgement] = field(default_factory=list)
    kafka: list[tuple[int, int]] = field(default_factory=list)
    """(partition, offset)"""
    objects: list[tuple[str, int]] = field(default_factory=list)
    """(key, line from 0)"""
    silver: Mapping[str, Any] | None = None
    quarantine: Sequence[Mapping[str, Any]] = ()
    stream: Sequence[Mapping[str, Any]] = ()
    """Rows of the streaming side's table."""
    stream_quarantine: Sequence[Mapping[str, Any]] = ()


def source_rows(settings: Settings, ind: int) -> dict[str, Mapping[str, Any]]:
    """Return the event's row of each source table, by event name; absent where there is none."""
    found: dict[str, Mapping[str, Any]] = {}
    engine = reader_engine(settings)
    with engine.connect() as connection:
        for event in EVENTS:
            source = table(event.table, *(column(name) for name in event.column_names))
            query = select(source).where(source.c[event.key_column] == ind)
            if row := connection.execute(query).mappings().first():
                found[event.name] = dict(row)
    engine.dispose()
    return found


def acknowledgements(settings: Settings, ind: int) -> dict[str, list[ledger.Acknowledgement]]:
    """Return the event's entries in the ledger, by event name."""
    found: dict[str, list[ledger.Acknowledgement]] = {}
    for entry in ledger.read(settings.emulator_dir / ledger.FILE_NAME):
        if entry.key == str(ind):
            found.setdefault(entry.event, []).append(entry)
    return found


def in_kafka(consumer: "KafkaConsumer", settings: Settings, event: EventType, ind: int) -> list[tuple[int, int]]:
    """Return partition and offset of each copy in Kafka: the whole topic is read, since a key is optional."""
    topic, digits = event.topic(settings.user_id), str(ind).encode()
    return [
        (partition, record.offset)
        for partition, span in kafka_log.ranges(consumer, topic).items()
        for record in kafka_log.scan(consumer, topic, partition, span)
        if record.value is not None and digits in record.value and line_key(event, record.value) == ind
    ]


def in_objects(
    s3: "S3Client", settings: Settings, event: EventType, ind: int, offsets: list[tuple[int, int]]
) -> list[tuple[str, int]]:
    """Return key and line of each copy in the objects that cover `offsets`."""
    topic = event.topic(settings.user_id)
    covering = set()
    for partition in {partition for partition, _ in offsets}:
        prefix = partition_prefix(topic, partition)
        names = {
            n.first_offset: key for key, _ in object_store.list_keys(s3, settings, prefix) if (n := parse_key(key))
        }
        starts = sorted(names)
        for number, offset in offsets:
            if number == partition and (position := bisect_right(starts, offset)):
                covering.add(names[starts[position - 1]])
    return [
        (key, number)
        for key in sorted(covering)
        for number, line in enumerate(object_store.lines(s3, settings, key))
        if line_key(event, line) == ind
    ]


def trace(settings: Settings, ind: int) -> dict[str, Places]:
    """Return where the event with key `ind` is, by event name. The lake is asked last, it takes longest."""
    from lakehouse import inspect as lake  # the lake's package isn't in every image

    sources, entries = source_rows(settings, ind), acknowledgements(settings, ind)
    places: dict[str, Places] = {e.name: Places(sources.get(e.name), entries.get(e.name, [])) for e in EVENTS}
    s3 = aws.s3_client(settings)
    with kafka_log.connect(settings) as consumer:
        for event in EVENTS:
            place = places[event.name]
            place.kafka = in_kafka(consumer, settings, event, ind)
            place.objects = in_objects(s3, settings, event, ind, place.kafka)
    for name, (silver, quarantine) in lake.event_rows(settings, ind).items():
        places[name].silver, places[name].quarantine = silver, quarantine
    for name, (rows, records) in lake.stream_event_rows(settings, ind).items():
        places[name].stream, places[name].stream_quarantine = rows, records
    return places
