"""The emulator beside the course's loop, and beside a bare client that posts the same bodies."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests  # type: ignore[import-untyped]
from sqlalchemy import create_engine, text

from bench.figures import Goal, Row, Size
from bench.load import Post, load
from emulator.draws import TableSequence
from emulator.rows import Record, SourceRows
from emulator.target import KafkaRest
from emulator.user_posting_emulation import DEFAULT_CONCURRENCY
from pinline.events import EVENTS, json_default
from pinline.mysql import reader_engine
from pinline.settings import Settings, address, secret
from tests.faults.load import EMULATE
from tests.fixtures.backends import Stack, embedded_stack

_BATCH_SIZES = (1, 50, 500)


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield events/s, and records/s beside the bare client."""
    with embedded_stack(folder, "s3", "mysql", "kafka", "gateway") as stack:
        if size.events != seeded(stack):
            stack.run("-m", "seed_data", "--events", str(size.events))
        course = course_loop(stack.settings, size.seconds)
        port = address(stack.settings.api_invoke_url)[1]
        ours, bare = {}, {}
        for number in _BATCH_SIZES:
            ours[number] = emulate(stack, "--order", "sequential", "--restart", "--batch-size", str(number))
            posts = bodies(stack.settings, number)
            bare[number] = load(port, posts, DEFAULT_CONCURRENCY, size.seconds, folder)
    best = max(_BATCH_SIZES, key=lambda number: float(ours[number]["events_per_second"]))
    for number in dict.fromkeys((1, best)):
        what = "defaults, events" if number == 1 else f"batches of {number}, events"
        rate = ours[number]["events_per_second"]
        yield Row("emulator", what, rate, "events/s", "the course's loop", course, Goal(ratio=50))
        what = what.replace("events", "records")
        rate, peer = ours[number]["records_per_second"], bare[number]
        client = f"{peer.client}, same bodies, {DEFAULT_CONCURRENCY} connections"
        # a load's last body of each event may be shorter; it counts as the others
        per_post = len(EVENTS) * size.events / len(bodies_per_event(size.events, number))
        yield Row("emulator", what, rate, "records/s", client, peer.rate * per_post, Goal(ratio=0.7))


def course_loop(settings: Settings, seconds: float) -> float:
    """Return events/s of the course's script, re-created without its pauses."""
    password = secret(settings.rds_password, "RDS_PASSWORD")
    where = f"{settings.rds_host}:{settings.rds_port}/{settings.rds_database}?charset=utf8mb4"
    headers = {"Content-Type": "application/vnd.kafka.json.v2+json"}
    draws = random.Random(100)
    events, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        row = draws.randint(0, 11000)
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
