"""How fast Kinesis services are, ours beside others, in one run on one machine.

`python -m bench.kinesis [--fill N] [--only ours,ministack,...]` starts a Kafka and each service in turn and prints a
table. One client measures all: requests are made beforehand and sent over raw connections, so it costs little itself.
Peers are taken when they are there: MiniStack from this environment; BENCH_MOTO names a Python that has moto,
BENCH_KINESIS_LOCAL a folder with npm's kinesis-local in it, BENCH_FERROKINESIS its program.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import orjson
import psutil
import uvloop
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bench import bare
from bench.load import Connection
from bench.processes import cpu_seconds, megabytes
from pinline.settings import Settings
from tests.fixtures.backends import free_port, running

DATA = base64.b64encode(b"x" * 400).decode()
STREAM = "bench"
SHARDS = 3
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, "
    "Signature=0",
    "X-Amz-Date": "20260101T000000Z",
}
_HEAD = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
Start = Callable[[int], tuple[list[str], dict[str, str], Path | None]]


async def call(connection: Connection, operation: str, body: bytes) -> dict[str, Any]:
    """Send a request and return the answer's body. Raises RuntimeError on any other status than 200."""
    answer = await connection.post("/", f"{_HEAD}X-Amz-Target: Kinesis_20131202.{operation}\r\n", body)
    found: dict[str, Any] = orjson.loads(answer) if answer else {}
    return found


def batch_body(first: int) -> bytes:
    """Return a request of 500 records of 400 bytes, keys spread over the shards."""
    records = [{"Data": DATA, "PartitionKey": str(first + number)} for number in range(500)]
    return orjson.dumps({"StreamName": STREAM, "Records": records})


async def put_record(port: int, connections: int, seconds: float) -> tuple[float, float, float, int]:
    """Return PutRecord/s, median and 99th percentile in ms, and how many there were."""
    bodies = [orjson.dumps({"StreamName": STREAM, "Data": DATA, "PartitionKey": str(n)}) for n in range(2000)]
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def work(number: int) -> None:
        connection = Connection(port)
        at = number * 100
        while (begun := time.perf_counter()) < end:
            await call(connection, "PutRecord", bodies[at % 2000])
            times.append(time.perf_counter() - begun)
            at += 1

    begun = time.perf_counter()
    await asyncio.gather(*(work(number) for number in range(connections)))
    spent = time.perf_counter() - begun
    times.sort()
    return len(times) / spent, statistics.median(times) * 1000, times[int(len(times) * 0.99)] * 1000, len(times)


async def put_records(port: int, connections: int, calls: int, seconds: float) -> tuple[float, int]:
    """Return records/s by PutRecords of 500, and how many; at most `calls` calls, and none after `seconds`."""
    bodies = [batch_body(first) for first in range(0, 4000, 500)]
    left = iter(range(calls))
    taken = 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal taken
        connection = Connection(port)
        for number in left:
            answer = await call(connection, "PutRecords", bodies[number % 8])
            taken += 500 - answer.get("FailedRecordCount", 0)
            if time.perf_counter() > end:
                return

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    return taken / (time.perf_counter() - begun), taken


async def get_records(port: int, most: int, seconds: float) -> tuple[float, int]:
    """Return records/s of one client that reads the shards in turn from the start, and how many it read."""
    connection = Connection(port)
    shards = (await call(connection, "ListShards", orjson.dumps({"StreamName": STREAM})))["Shards"]
    read = 0
    begun = time.perf_counter()
    for shard in shards:
        start = {"StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = (await call(connection, "GetShardIterator", orjson.dumps(start)))["ShardIterator"]
        while read < most and time.perf_counter() - begun < seconds:
            answer = await call(connection, "GetRecords", orjson.dumps({"ShardIterator": iterator}))
            read += len(answer["Records"])
            iterator = answer["NextShardIterator"]
            if not answer["Records"] and not answer["MillisBehindLatest"]:
                break
    return read / (time.perf_counter() - begun), read


@contextmanager
def service(
    command: list[str], port: int, log: Path, cwd: Path | None, more: dict[str, str]
) -> Iterator[psutil.Process]:
    """A service process that answers ListStreams."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **more}, cwd=cwd, stdout=out, stderr=out)
    headers = {**HEADERS, "X-Amz-Target": "Kinesis_20131202.ListStreams"}
    try:
        deadline = time.monotonic() + 60
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-2000:])
            try:
                if httpx.post(f"http://127.0.0.1:{port}", content=b"{}", headers=headers, timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.02)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def create(port: int) -> None:
    """Create the stream and wait until it is ACTIVE."""
    client = boto3.client(
        "kinesis",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 3}),
    )
    client.create_stream(StreamName=STREAM, ShardCount=SHARDS)
    deadline = time.monotonic() + 30
    while client.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise RuntimeError("the stream did not become ACTIVE")
        time.sleep(0.1)


def measure(
    name: str, started: float, process: psutil.Process, port: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return one row: speeds of puts and gets, memory."""
    row: dict[str, Any] = {"service": name, "start s": round(started, 2)}
    used = cpu_seconds(process)

    def cost(count: float) -> float:
        """Return the service's CPU time for each of `count`, in microseconds."""
        nonlocal used
        before, used = used, cpu_seconds(process)
        return round((used - before) * 1e6 / max(1, count), 1)

    for connections in (1, 16):
        rate, median, p99, count = uvloop.run(put_record(port, connections, arguments.seconds))
        row[f"PutRecord/s, {connections}"] = round(rate)
        row[f"p50 / p99 ms, {connections}"] = f"{median:.1f} / {p99:.1f}"
        row[f"CPU µs, {connections}"] = cost(count)
    rate, count = uvloop.run(put_records(port, 4, arguments.batches, 4 * arguments.seconds))
    row["PutRecords rec/s"], row["CPU µs/rec, put"] = round(rate), cost(count)
    rate, read = uvloop.run(get_records(port, 300_000, 4 * arguments.seconds))
    row["GetRecords rec/s"], row["CPU µs/rec, get"], row["MB"] = round(rate), cost(read), megabytes(process)
    return row


def bare_client(kafka: str) -> dict[str, Any]:
    """Return what the bare Kafka client does on the same broker: the limit."""
    bare.create_topic(kafka, "bare", SHARDS)
    count = 200_000
    written = bare.write(kafka, ["bare"], (b"x" * 400 for _ in range(count)))
    read = bare.drain(kafka, ["bare"], SHARDS, count)
    return {"service": "bare Kafka client", "PutRecords rec/s": round(written), "GetRecords rec/s": round(read)}


def ours(kafka: str, folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield our rows: with an empty stream, and with `--fill` records more in it."""
    port = free_port()
    command = [sys.executable, "-m", "kinesis", "--bootstrap-servers", kafka, "--port", str(port), "--no-limits"]
    begun = time.monotonic()
    with service(command, port, folder / "ours.log", None, {}) as process:
        started = time.monotonic() - begun
        create(port)
        yield measure("ours", started, process, port, arguments)
        if arguments.fill:
            uvloop.run(put_records(port, 4, arguments.fill // 500, 900))
            yield measure(f"ours, {arguments.fill:,} records more", started, process, port, arguments)


def peers(folder: Path) -> dict[str, Start]:
    """Return how each other service that is here is started at a port."""
    ministack = {"BIND_HOST": "127.0.0.1", "SERVICES": "kinesis", "STATE_DIR": str(folder), "LOG_LEVEL": "ERROR"}
    found: dict[str, Start] = {
        "ministack": lambda port: ([sys.executable, "-m", "ministack"], {**ministack, "GATEWAY_PORT": str(port)}, None)
    }
    if moto := os.environ.get("BENCH_MOTO"):
        found["moto"] = lambda port: ([moto, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {}, None)
    if local := os.environ.get("BENCH_KINESIS_LOCAL"):
        ports = {"KINESIS_MOCK_TLS_PORT": str(free_port()), "LOG_LEVEL": "ERROR"}
        where = Path(local) / "node_modules" / "kinesis-local"
        found["kinesis-local"] = lambda port: (
            ["node", "main.js"],
            {**ports, "KINESIS_MOCK_PLAIN_PORT": str(port)},
            where,
        )
    if ferrokinesis := os.environ.get("BENCH_FERROKINESIS"):
        found["ferrokinesis (memory)"] = lambda port: ([ferrokinesis, "--port", str(port)], {}, None)
    return found


def rows(folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield one row for each service."""
    only = set(filter(None, arguments.only.split(",")))
    if not only or "ours" in only:
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            pinline_data=folder / "kafka",
            kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
            kafka_controller_port=free_port(),
        )
        settings.pinline_data.mkdir()
        with running("kafka", settings):
            yield bare_client(settings.kafka_bootstrap_servers)
            yield from ours(settings.kafka_bootstrap_servers, folder, arguments)
    for peer, start in peers(folder).items():
        if only and peer not in only:
            continue
        port = free_port()
        command, environment, cwd = start(port)
        begun = time.monotonic()
        try:
            with service(command, port, folder / "peer.log", cwd, environment) as process:
                started = time.monotonic() - begun
                create(port)
                yield measure(peer, started, process, port, arguments)
        except (RuntimeError, OSError, BotoCoreError, ClientError) as error:
            yield {"service": peer, "failed": str(error)[-300:]}


def main() -> None:
    """Measure; print a JSON line for each service as it is done, and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fill", type=int, default=0, help="records to put before ours is measured again")
    parser.add_argument("--seconds", type=float, default=5, help="for each measurement of PutRecord")
    parser.add_argument("--batches", type=int, default=400, help="PutRecords of 500 at most")
    parser.add_argument("--only", default="", help="names of services, with commas")
    arguments = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-kinesis-") as name:
        for row in rows(Path(name), arguments):
            found.append({**row, "load": round(os.getloadavg()[0], 1)})
            print(json.dumps(found[-1]), flush=True)
    columns = list(dict.fromkeys(key for row in found for key in row))
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in found:
        print("| " + " | ".join(str(row.get(key, "-")) for key in columns) + " |")


if __name__ == "__main__":
    main()
