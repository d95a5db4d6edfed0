"""The sink beside its own clients in a bare loop: the consumer that drains the topics, boto3 that PUTs the objects."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
from kafka.consumer import KafkaConsumer
from kafka.structs import TopicPartition

from bench import bare
from bench.figures import Goal, Row, Size, shown
from bench.processes import watching
from pinline import aws
from pinline.events import PIN, topics
from pinline.kafka import kafka_python_config
from pinline.objects import ObjectRange, object_key
from pinline.settings import ROOT, Settings
from sink.store import S3Store
from tests.faults.load import Command, command
from tests.fixtures.backends import Stack, embedded_stack

_POLL_S = 0.05
_DEADLINE_S = 300.0
_PUTS = 8
"""At once, as the sink has threads."""
WRITTEN = re.compile(r"^pinline_sink_records_total\{.*\} (\S+)$", re.MULTILINE)


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield records/s of three topics with the shipped configuration (flush.size 1000), and the sink's memory."""
    with embedded_stack(folder, "kafka", "s3") as stack:
        names = list(topics(stack.settings.user_id))
        kafka = stack.settings.kafka_bootstrap_servers
        count = size.records // 3000 * 3000
        bare.write(kafka, names, map(bare.record, range(count)))
        librdkafka = bare.drain(kafka, names, 1, count)
        peer = copy(stack.settings, names, count, 1000)
        with command(stack, "-m", "sink") as sink, watching([lambda: sink.process.pid]) as (memory,):
            ours = written(stack, sink, count)
    note = f"confluent-kafka drains {shown(librdkafka)} records/s"
    goal = Goal(ratio=0.5, least=30_000)
    yield Row("sink", "flush.size 1000, 400 B", ours, "records/s", "kafka-python and boto3", peer, goal, note)
    yield Row("sink", "memory at its peak", memory.megabytes, "MB", goal=Goal(most=300))


def one_record_rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield objects/s of one partition with flush.size 1."""
    shipped = Settings.model_fields["sink_config"].get_default()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "one.properties"
    file.write_text(re.sub(r"(?m)^flush\.size=.*$", "flush.size=1", (ROOT / shipped).read_text()))
    with embedded_stack(folder, "kafka", "s3", sink_config=file) as stack:
        settings, count = stack.settings, size.one_record_objects
        topic = PIN.topic(settings.user_id)
        bare.write(settings.kafka_bootstrap_servers, [topic], map(bare.record, range(count)))
        store = S3Store(aws.s3_client(settings), settings.bucket)
        begun = time.perf_counter()
        for number in range(count):
            put(store, topic, number, [bare.record(number)])
        peer = count / (time.perf_counter() - begun)
        with command(stack, "-m", "sink") as sink:
            ours = written(stack, sink, count)
    yield Row(
        "sink-one", "flush.size 1, 1 partition", ours, "objects/s", "a loop of the same PUTs", peer, Goal(ratio=0.8)
    )


def written(stack: Stack, sink: Command, count: int) -> float:
    """Return records/s from the moment when a starting sink begins to write until all are in S3."""
    url = f"http://127.0.0.1:{stack.settings.sink_metrics_port}/metrics"
    deadline = time.monotonic() + _DEADLINE_S
    begun, found = 0.0, 0
    with httpx.Client(timeout=10) as client:
        while found < count:
            if sink.ended or time.monotonic() > deadline:
                raise RuntimeError(f"the sink wrote {found} of {count} records: {sink.said[-2000:]}")
            looked = time.perf_counter()
            try:
                text = client.get(url).text
            except httpx.TransportError:
                text = ""
            found = int(sum(map(float, WRITTEN.findall(text))))
            if not found:
                begun = looked
            time.sleep(_POLL_S)
    return count / (looked - begun)


def copy(settings: Settings, names: list[str], count: int, flush_size: int) -> float:
    """Drain topics of one partition and PUT an object for each `flush_size` records; return records/s."""
    store = S3Store(aws.s3_client(settings, pool=_PUTS), settings.bucket)
    consumer = KafkaConsumer(
        **kafka_python_config(settings),
        enable_auto_commit=False,
        # what the sink asks for
        max_poll_records=1_000_000_000,
        max_partition_fetch_bytes=2 * 2**20,
        fetch_max_bytes=8 * 2**20,
    )
    places = [TopicPartition(name, 0) for name in names]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    held: dict[TopicPartition, list[bytes]] = {place: [] for place in places}
    puts: list[Future[None]] = []
    starts = dict.fromkeys(places, 0)
    left, begun = count, time.perf_counter()
    with ThreadPoolExecutor(_PUTS) as pool:
        while left:
            for place, records in consumer.poll(timeout_ms=1000).items():
                left -= len(records)
                lines = held[place]
                lines += [record.value for record in records]
                while len(lines) >= flush_size:
                    puts.append(pool.submit(put, store, place.topic, starts[place], lines[:flush_size]))
                    starts[place] += flush_size
                    del lines[:flush_size]
        for done in puts:
            done.result()
    spent = time.perf_counter() - begun
    consumer.close()
    return count / spent


def put(store: S3Store, topic: str, first: int, lines: list[bytes]) -> None:
    """PUT an object as the sink does, into a folder of its own."""
    found = ObjectRange("bench", first, first + len(lines) - 1, len(lines))
    key = object_key(topic, 0, first, topics_dir="bench")
    store.put_new(key, b"\n".join(lines) + b"\n", found.to_metadata())
