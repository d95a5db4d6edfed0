"""The streaming path with the whole stack up: how long a record takes to Delta, what a long load costs, the catch-up.

Latency is from Kinesis's time of arrival, just before the gateway's 200, to the time at which the row's file was
written; its commit follows within some tenths of a second.
"""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families
from pyspark.sql import SparkSession

from bench.emulator import emulate
from bench.figures import Goal, Row, Size
from bench.processes import cpu_seconds, megabytes
from bench.stack import MEMORY_GOAL, memory
from bench.stream_source import drain
from native.supervise import Supervisor
from pinline.events import EVENTS
from tests.fixtures.backends import PIPELINE, Stack, embedded_stack, wait_until

_SHARDS = 2
_WARM_UP_EVENTS = 300
_RATE, _HIGH_RATE = 50, 300
_SAMPLE_SECONDS = 5.0


def catch_up_rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield the catch-up alone, on a stack that did nothing before."""
    with embedded_stack(folder, *PIPELINE, kinesis_shards=_SHARDS) as stack:
        stack.run("-m", "seed_data", "--events", str(size.records // len(EVENTS)), seconds=1800)
        yield _catch_up(stack, size)


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield latencies, lag and memory under load, the idle job's CPU, and the catch-up beside a bare loop."""
    with embedded_stack(folder, *PIPELINE, kinesis_shards=_SHARDS) as stack:
        stack.run("-m", "seed_data", "--events", str(size.stream_events), seconds=1800)
        _post(stack, _WARM_UP_EVENTS, _RATE)
        yield from _steady(stack, size)
        yield from _high(stack, size)
        yield _idle(stack, size)
        yield Row("stream", "memory of the stack afterwards", memory(stack), "MB", goal=MEMORY_GOAL)
        yield _catch_up(stack, size)


def _steady(stack: Stack, size: Size) -> Iterator[Row]:
    since = datetime.now(UTC)
    _post(stack, _RATE * size.stream_seconds // 10, _RATE)
    p50, p95 = _latency(stack, since)
    yield Row("stream", f"{_RATE} events/s, to the row in Delta, p50", p50, "s", goal=Goal(most=4))
    yield Row("stream", f"{_RATE} events/s, to the row in Delta, p95", p95, "s", goal=Goal(most=6))


def _high(stack: Stack, size: Size) -> Iterator[Row]:
    """A long load: the lag and the memory of its second quarter beside those of its last."""
    with _sampling(stack) as samples:
        begun = time.perf_counter()
        # a record a request, this machine's emulator doesn't get so far
        _post(stack, _HIGH_RATE * size.stream_seconds, _HIGH_RATE, "--batch-size", "10")
        rate = _HIGH_RATE * size.stream_seconds / (time.perf_counter() - begun)
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    lags, sizes = ([statistics.median(s[column] for s in part) for part in (second, last)] for column in (0, 1))
    note = f"goal of the load: {_HIGH_RATE}"
    yield Row("stream", f"posted for {size.stream_seconds} s", rate, "events/s", note=note)
    # no latency by the files' times: in ten minutes upkeep has written them anew
    yield Row("stream", "lag, last quarter", lags[1], "s", "second quarter", lags[0])
    goal = Goal(most_ratio=1.1)
    yield Row("stream", "memory of the job, last quarter", sizes[1], "MB", "second quarter", sizes[0], goal)


def _idle(stack: Stack, size: Size) -> Row:
    job = psutil.Process(stack.pid("stream"))
    stack.run("-m", "pinline", "wait")
    before, begun = cpu_seconds(job), time.perf_counter()
    time.sleep(4 * size.seconds)
    share = (cpu_seconds(job) - before) / (time.perf_counter() - begun)
    return Row("stream", "idle", share * 100, "% of a core", goal=Goal(most=10))


def _catch_up(stack: Stack, size: Size) -> Row:
    """Records that wait while the job is stopped: its speed into Delta beside a loop of boto3 that only reads them."""
    events = size.records // len(EVENTS)
    file = Path(stack.env["PINLINE_ENV_FILE"])
    file.write_text(file.read_text() + "\nKINESIS_LIMITS=false\n")
    stack.up()
    supervisor = Supervisor(stack.settings)
    supervisor.stop("stream", wait=True)
    since = datetime.now(UTC)
    arguments = ("--mode", "stream", "--order", "sequential", "--batch-size", "100", "--rate", "0")
    emulate(stack, *arguments, "--count", str(events))
    streams = [event.stream(stack.settings.user_id) for event in EVENTS]
    bare = drain(stack.settings.aws_endpoint_url_kinesis or "", streams, events * len(EVENTS), since)
    supervisor.start("stream")
    stack.wait_ready("stream")
    wait_until(lambda: _inserted(stack) > 0, 120, "the first batch is in Delta")
    begun, first = time.perf_counter(), _inserted(stack)
    wait_until(lambda: _inserted(stack) >= events * len(EVENTS), 600, "all records are in Delta")
    rate = (events * len(EVENTS) - first) / (time.perf_counter() - begun)
    what = f"catch-up of {events * len(EVENTS):,} records into Delta"
    note = f"events made once; after the first batch, of {first:,.0f} rows; the service without limits"
    return Row("stream", what, rate, "records/s", "bare boto3, reading only", bare, Goal(ratio=0.6), note)


def _inserted(stack: Stack) -> float:
    """Return how many rows the job has put into its tables since it started; 0 while it doesn't answer."""
    try:
        text = httpx.get(f"http://127.0.0.1:{stack.settings.stream_metrics_port}/metrics").text
    except httpx.TransportError:
        return 0
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    name = "pinline_stream_records_total"
    return sum(s.value for s in samples if s.name == name and s.labels["verdict"] == "inserted")


def _post(stack: Stack, events: int, rate: int, *more: str) -> None:
    emulate(stack, "--mode", "stream", "--order", "sequential", "--count", str(events), "--rate", str(rate), *more)
    stack.run("-m", "pinline", "wait")


def _latency(stack: Stack, since: datetime) -> tuple[float, float]:
    """Return the 50th and 95th percentile of the seconds from a record's arrival to its row's file."""
    spark = SparkSession.builder.remote(stack.settings.spark_remote or "").create()
    try:
        each = " UNION ALL ".join(
            "SELECT _arrived, _metadata.file_modification_time AS written "
            f"FROM delta.`s3a://{stack.settings.bucket}/lake/stream/{event.stream_table(stack.settings.user_id)}`"
            for event in EVENTS
        )
        seconds = "cast(written AS double) - cast(_arrived AS double)"
        row = spark.sql(
            f"SELECT percentile({seconds}, array(0.5, 0.95)) AS found FROM ({each}) "
            f"WHERE _arrived >= timestamp '{since:%Y-%m-%d %H:%M:%S}+00:00'"
        ).collect()[0]
        return row.found[0], row.found[1]
    finally:
        spark.stop()


@contextmanager
def _sampling(stack: Stack) -> Iterator[list[tuple[float, int]]]:
    """Take the job's lag in seconds and its memory in megabytes, every few seconds until the end of the block."""
    samples: list[tuple[float, int]] = []
    ended = threading.Event()
    job = psutil.Process(stack.pid("stream"))
    url = f"http://127.0.0.1:{stack.settings.stream_metrics_port}/readyz"

    def take() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            samples.append((float(httpx.get(url).json()["lag_seconds"]), megabytes(job)))

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()
