"""Beyond one machine, on this one: three Kafka brokers, gateways and sinks beside one of each; the batch on a Spark
cluster beside local mode.

All processes share this machine's cores: the figures are what being distributed costs, not what it gains.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import bare
from bench.figures import Goal, Row, Size
from bench.gateway import body
from bench.load import Post, load
from bench.scale_spark import rows as spark_rows
from bench.sink import WRITTEN
from pinline.events import EVENTS, PIN, topics
from pinline.init import ensure_topics
from pinline.settings import ROOT, Settings, address
from tests.faults.posting import Posted, lose_a_broker, not_stored
from tests.fixtures import gateway
from tests.fixtures.backends import free_port, running, unique_user_id
from tests.fixtures.brokers import Brokers, three_brokers
from tests.fixtures.sink import Stage, sharing, staged

PARTITIONS = 3
_CONNECTIONS = 8
_BATCH = 500
_POLL_S = 0.05
_DEADLINE_S = 300.0
Values = dict[str, object]


@dataclass(frozen=True)
class Speed:
    """What a Kafka with gateways and sinks did: requests/s of one record, records/s of batches, records/s into S3."""

    requests: float
    records: float
    sunk: float


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield Kafka's side, then Spark's."""
    yield from kafka_rows(folder / "kafka", size)
    yield from spark_rows(folder / "spark", size)


def kafka_rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield the speed of three brokers beside one, and what is lost and how long all waits when one of them dies."""
    folder.mkdir(parents=True)
    s3 = _settings(folder / "s3", aws_endpoint_url_s3=f"http://127.0.0.1:{free_port()}")
    one = _settings(
        folder / "one", kafka_bootstrap_servers=f"127.0.0.1:{free_port()}", kafka_controller_port=free_port()
    )
    with running("s3", s3):
        at: Values = {"aws_endpoint_url_s3": s3.aws_endpoint_url_s3, "kafka_partitions": PARTITIONS}
        with running("kafka", one):
            alone = speed(folder / "1-1-1", size, at | {"kafka_bootstrap_servers": one.kafka_bootstrap_servers})
        with three_brokers(folder / "three") as brokers:
            at |= {"kafka_replication_factor": 3, "kafka_min_insync_replicas": 2}
            at |= {"kafka_bootstrap_servers": brokers.bootstrap}
            copied = speed(folder / "3-1-1", size, at)
            spread = speed(folder / "3-2-3", size, at, gateways=2, sinks=3)
            seen = outage(brokers, folder / "outage", size, at)
    peer = "1 broker, 1 gateway, 1 sink"
    for what, found in (("3 brokers, 1 gateway, 1 sink", copied), ("3 brokers, 2 gateways, 3 sinks", spread)):
        yield Row("scale", f"{what}: 1 record a request", found.requests, "requests/s", peer, alone.requests)
        yield Row("scale", f"{what}: batches of {_BATCH}", found.records, "records/s", peer, alone.records)
        yield Row("scale", f"{what}: into S3", found.sunk, "records/s", peer, alone.sunk)
    what = f"a broker killed and back, {len(seen.acknowledged):,} acknowledged: lost"
    yield Row("scale", what, 0, "records", goal=Goal(most=0), note=f"{len(seen.refused)} refused")
    yield Row("scale", "longest time without an acknowledgement", seen.longest_silence, "s", goal=Goal(most=15))


def speed(folder: Path, size: Size, values: Values, gateways: int = 1, sinks: int = 1) -> Speed:
    """Measure gateways and sinks of a Kafka (`values`: settings), each kind with a user of its own."""
    folder.mkdir()
    posted = _settings(folder, **values)
    ensure_topics(posted)
    with ExitStack() as stack:
        ports = []
        for number in range(gateways):
            (own := folder / f"gateway-{number}").mkdir()
            serving = stack.enter_context(gateway.serving(posted.kafka_bootstrap_servers, own))
            ports.append(address(serving.stage)[1])
        path = f"/dev/topics/{PIN.topic(posted.user_id)}"
        single = [Post(path, body(number, 1)) for number in range(2000)]
        many = [Post(path, body(first, _BATCH)) for first in range(0, 40 * _BATCH, _BATCH)]
        requests = together(ports, single, size, folder)
        records = together(ports, many, size, folder) * _BATCH
    return Speed(requests, records, sunk(folder, size, sinks, _settings(folder, **values)))


def together(ports: Sequence[int], posts: Sequence[Post], size: Size, folder: Path) -> float:
    """Return requests/s that all gateways answer, the connections shared out."""

    def one(number: int) -> float:
        connections = _CONNECTIONS // len(ports)
        return load(ports[number], posts, connections, size.seconds, folder / f"gateway-{number}").rate

    with ThreadPoolExecutor(len(ports)) as threads:
        return sum(threads.map(one, range(len(ports))))


def sunk(folder: Path, size: Size, sinks: int, settings: Settings) -> float:
    """Return records/s from the first record that is written to Kafka to the last object in S3.

    Raises RuntimeError unless each record is in one object.
    """
    ensure_topics(settings)
    names = list(topics(settings.user_id))
    each = len(names) * PARTITIONS * 1000  # whole objects: nothing waits for its time
    count = max(each, size.records // each * each)
    with staged(settings, folder) as stage:
        ports = [free_port() for _ in range(sinks)]
        for port in ports:
            stage.start(ROOT / Settings.model_fields["sink_config"].get_default(), SINK_METRICS_PORT=str(port))
        _wait(stage, lambda: _are_sharing(ports))
        begun = time.perf_counter()
        bare.write(settings.kafka_bootstrap_servers, names, map(bare.record, range(count)), PARTITIONS)
        _wait(stage, lambda: sum(map(_written, ports)) >= count)
        spent = time.perf_counter() - begun
        for event in EVENTS:
            if faults := stage.balance(event).faults:
                raise RuntimeError(f"not every record is in one object: {faults}")
    return count / spent


def outage(brokers: Brokers, folder: Path, size: Size, values: Values) -> Posted:
    """Post while a broker dies and comes back. Raises RuntimeError unless every acknowledged record is in its place."""
    folder.mkdir()
    settings = _settings(folder, **values)
    ensure_topics(settings)
    topic = PIN.topic(settings.user_id)
    with gateway.serving(brokers.bootstrap, folder) as serving:
        url = f"{serving.stage}/topics/{topic}"
        seen = lose_a_broker(brokers, topic, [url], records=max(50, size.records // 300), clients=4, pause_s=0)
        stored = {
            (partition, offset): value
            for partition in range(PARTITIONS)
            for offset, (_, value) in enumerate(serving.read(topic, partition))
        }
    if lost := not_stored(seen.acknowledged, stored) + seen.strange:
        raise RuntimeError(f"{len(lost)} acknowledged records are not where they were said to be: {lost[:5]}")
    return seen


def _settings(folder: Path, **values: object) -> Settings:
    account = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    own = {"user_id": unique_user_id(), "pinline_data": folder}
    return Settings(_env_file=None, **{**account, **own, **values})  # type: ignore[call-arg, arg-type]


def _are_sharing(ports: Sequence[int]) -> bool:
    shares = [sharing(port) for port in ports]
    return all(shares) and sum(map(len, shares)) == len(set().union(*shares)) == len(EVENTS) * PARTITIONS


def _written(port: int) -> float:
    return sum(map(float, WRITTEN.findall(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text)))


def _wait(stage: Stage, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        if time.monotonic() > deadline or any(sink.poll() is not None for sink in stage.started):
            raise RuntimeError(f"the sinks don't get on: {stage.tail()}")
        time.sleep(_POLL_S)
