"""The batch beside the course's way on the same Spark server, and beside DuckDB on the same objects."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from bench.emulator import emulate
from bench.figures import Goal, Row, Size
from bench.stack import MEMORY_GOAL, memory
from native.supervise import Supervisor
from pinline import aws, object_store
from pinline.events import EVENTS
from pinline.objects import topic_prefix
from tests.e2e import oracle
from tests.faults.load import BATCH
from tests.fixtures.backends import BATCH_PATH, Stack, embedded_stack

_DUCK_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}
Answers = dict[str, list[dict[str, Any]]]


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield seconds: cold, warm, with 1 % new, with nothing new. All times but DuckDB's include starting Python."""
    new = max(1, round(size.events / 100))
    with embedded_stack(folder, *BATCH_PATH) as stack:
        stack.run("-m", "seed_data", "--events", str(size.events + 2 * new))
        post(stack, size.events)
        restart_spark(stack)
        cold, cold_steps = batch(stack)
        warm, warm_steps = min(from_nothing(stack) for _ in range(2))
        ours = json.loads(stack.run("-m", "lakehouse.results", "--format", "json").stdout)
        course, found = min((course_way(stack) for _ in range(2)), key=lambda timed: timed[0])
        check("the course's way", found, ours)
        fetched, asked, found = duck(stack, folder / "objects")
        check("DuckDB", found, ours)
        some = []
        for _ in range(2):
            post(stack, new)
            some.append(batch(stack))
        nothing = min(batch(stack, is_new=False) for _ in range(2))
        used = memory(stack)
    records = f"{size.events * len(EVENTS):,} records"
    way = "the course's way"
    yield Row("batch", f"{records}, cold", cold, "s", way, course, Goal(most=45), cold_steps)
    yield Row("batch", f"{records}, warm", warm, "s", way, course, Goal(most=20), warm_steps)
    note = f"fetching the objects: {fetched:.2f} s more"
    yield Row("batch", f"{records}, warm", warm, "s", "DuckDB on the objects", asked, note=note)
    yield Row("batch", "1 % new", min(some)[0], "s", way, course, Goal(most=8), min(some)[1])
    yield Row("batch", "nothing new", nothing[0], "s", way, course, Goal(most=3), nothing[1])
    yield Row("batch", "memory of the stack after batches", used, "MB", goal=MEMORY_GOAL)


def post(stack: Stack, events: int) -> tuple[float, float]:
    """Post further events and wait until they are in S3; return the seconds that each took."""
    begun = time.perf_counter()
    emulate(stack, "--order", "sequential", "--batch-size", "500", "--count", str(events))
    posted = time.perf_counter()
    stack.run("-m", "pinline", "wait", "--timeout", "1800", seconds=1900)
    return posted - begun, time.perf_counter() - posted


def restart_spark(stack: Stack) -> None:
    """Stop the Spark server and start it again."""
    Supervisor(stack.settings).stop("spark", wait=True)
    stack.up(*BATCH_PATH)


def batch(stack: Stack, *, is_new: bool = True) -> tuple[float, str]:
    """Run the batch; return its seconds, and those of its steps in words."""
    begun = time.perf_counter()
    said = stack.run(*BATCH, seconds=1800).stdout
    spent = time.perf_counter() - begun
    if ("nothing new" in said) is is_new:
        raise RuntimeError(f"the batch was to find {'something' if is_new else 'nothing'} new:\n{said}")
    return spent, ", ".join(" ".join(step) for step in re.findall(r"^(\w+) +([\d.]+) s", said, re.MULTILINE))


def course_way(stack: Stack) -> tuple[float, Answers]:
    """Return the seconds of the course's way, and its answers."""
    begun = time.perf_counter()
    said = stack.run("-m", "bench.course", seconds=1800).stdout
    return time.perf_counter() - begun, json.loads(said)


def duck(stack: Stack, folder: Path) -> tuple[float, float, Answers]:
    """Return the seconds of fetching all objects, those of reading them and asking DuckDB, and its answers."""
    begun = time.perf_counter()
    s3, settings = aws.s3_client(stack.settings), stack.settings
    for event in EVENTS:
        (folder / event.name).mkdir(parents=True)
        for key, _ in object_store.list_keys(s3, settings, topic_prefix(event.topic(settings.user_id))):
            s3.download_file(settings.bucket, key, str(folder / event.name / Path(key).name))
    fetched = time.perf_counter()
    with duckdb.connect() as connection:
        for event in EVENTS:
            columns = {column.name: _DUCK_TYPES[column.json_type] for column in event.columns}
            read = connection.read_json(f"{folder / event.name}/*.json", format="newline_delimited", columns=columns)
            read.create(f"raw_{event.name}")
        oracle.clean(connection)
        found = oracle.answers(connection)
    return fetched - begun, time.perf_counter() - fetched, found


def check(who: str, found: Answers, ours: Answers) -> None:
    """Raise RuntimeError unless a peer found our answers: another result is no measure of ours."""
    same = json.loads(json.dumps(found, default=str))
    wrong = [name for name, answer in ours.items() if oracle.ordered(same[name]) != oracle.ordered(answer)]
    if wrong:
        raise RuntimeError(f"{who} answers {', '.join(wrong)} otherwise than the batch")


def from_nothing(stack: Stack) -> tuple[float, str]:
    """Empty the lake and run the batch."""
    s3, settings = aws.s3_client(stack.settings), stack.settings
    for key, _ in list(object_store.list_keys(s3, settings, "lake/")):
        s3.delete_object(Bucket=settings.bucket, Key=key)
    return batch(stack)
