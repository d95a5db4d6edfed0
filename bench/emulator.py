"""The emulator beside the course's loop, and beside a bare client that posts the same bodies."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from sqlalchemy import create_engine, text

from bench.figures import Goal, Row, Size
from bench.load import Post, load
from emulator.command import DEFAULT_CONCURRENCY
from emulator.draws import Draw
from emulator.rows import SourceRows
from emulator.target import KafkaRest
from pinline.events import EVENTS, json_default
from pinline.mysql import reader_engine
from pinline.settings import Settings, address, secret
from tests.faults.load import EMULATE
from tests.fixtures.backends import Stack, embedded_stack

_BATCH_SIZES = (1, 50, 500)


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield events/s beside the course's loop, records/s beside the bare client: by default, and in batches."""
    with embedded_stack(folder, "s3", "mysql", "kafka", "gateway") as stack:
        stack.run("-m", "seed_data", "--events", str(size.events))
        course = course_loop(stack.settings, size)
        port = address(stack.settings.api_invoke_url)[1]
        ours, bare = {}, {}
        for number in _BATCH_SIZES:
            ours[number] = emulate(stack, "--order", "sequential", "--restart", "--batch-size", str(number))
            posts = bodies(stack.settings, size.events, number)
            bare[number] = load(port, posts, DEFAULT_CONCURRENCY, size.seconds, folder)
    best = max(_BATCH_SIZES, key=lambda number: float(ours[number]["events_per_second"]))
    for number in dict.fromkeys((1, best)):
        what = "sequential" if number == 1 else f"sequential, batches of {number}"
        rate = ours[number]["events_per_second"]
        yield Row("emulator", what, rate, "events/s", "the course's loop", course, Goal(ratio=50))
        rate, peer = ours[number]["records_per_second"], bare[number]
        client = f"{peer.client} with the same bodies"
        note = f"{DEFAULT_CONCURRENCY} connections; p99 {ours[number]['p99_ms']} ms, peer's {peer.p99:.1f} ms"
        yield Row("emulator", what, rate, "records/s", client, peer.rate * number, Goal(ratio=0.7), note)


def emulate(stack: Stack, *arguments: str) -> dict[str, Any]:
    """Run the emulator; return its figures (emulator.figures). It has to post everything."""
    done = stack.run(*EMULATE, *arguments, seconds=1800)
    found: dict[str, Any] = json.loads(done.stderr.strip().rpartition("\n")[2])
    return found


def bodies(settings: Settings, events: int, batch_size: int) -> list[Post]:
    """Return the requests that the emulator makes of the first `events` events, those that are full."""
    engine = reader_engine(settings)
    try:
        source = SourceRows(engine, settings)
        found = source.fetch([Draw(number, number, 0) for number in range(events)])
    finally:
        engine.dispose()
    target = KafkaRest(settings.api_invoke_url, settings.user_id)
    posts = []
    for first in range(0, events - batch_size + 1, batch_size):
        for event in EVENTS:
            records = [r for one in found[first : first + batch_size] for r in one.records if r.event is event]
            request = target.request(event, records)
            posts.append(Post(urlsplit(request.url).path, request.body))
    return posts


def course_loop(settings: Settings, size: Size) -> float:
    """Return events/s of the course's script, re-created without its pauses."""
    password = secret(settings.rds_password, "RDS_PASSWORD")
    where = f"{settings.rds_host}:{settings.rds_port}/{settings.rds_database}?charset=utf8mb4"
    headers = {"Content-Type": "application/vnd.kafka.json.v2+json"}
    draws = random.Random(100)
    events, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < size.seconds:
        row = draws.randint(0, min(11_000, size.events - 1))
        engine = create_engine(f"mysql+pymysql://{settings.rds_user}:{password}@{where}")
        with engine.connect() as connection:
            for event in EVENTS:
                found = connection.execute(text(f"SELECT * FROM {event.table} LIMIT {row}, 1"))
                for result in [dict(found_row._mapping) for found_row in found]:  # noqa: SLF001  # the course's words
                    payload = json.dumps({"records": [{"value": result}]}, default=json_default)
                    url = f"{settings.api_invoke_url}/topics/{event.topic(settings.user_id)}"
                    requests.request("POST", url, headers=headers, data=payload, timeout=30).raise_for_status()
        events += 1
    return events / (time.perf_counter() - begun)
