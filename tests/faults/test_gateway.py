"""The gateway while Kafka dies, clients stall, and connections pile up. What was acknowledged is in Kafka.

SIGTERM under load, a Kafka that hangs, 10 MiB bodies and one byte more: tests/contract/test_gateway_lifecycle.py and
test_gateway_produce.py.
"""

import asyncio
import concurrent.futures
import json
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from pinline.settings import Settings
from tests.faults.posting import HEADERS, TYPE, Place, not_stored, posting
from tests.fixtures.backends import free_port, running, wait_until
from tests.fixtures.gateway import Gateway, StartGateway

pytestmark = [pytest.mark.faults, pytest.mark.contract]

PATIENT_S = 2.0
"""What a request may take while others are slow; on an idle machine it takes 5 ms."""


@pytest.fixture
def own_kafka(tmp_path: Path) -> Settings:
    """Settings of a broker that a test starts, stops and kills."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        pinline_data=tmp_path / "kafka",
        kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
        kafka_controller_port=free_port(),
    )
    settings.pinline_data.mkdir()
    return settings


def test_kafka_killed_under_load_and_back_loses_nothing_that_was_acknowledged(
    start_gateway: StartGateway, own_kafka: Settings
) -> None:
    with running("kafka", own_kafka) as kafka, start_gateway(own_kafka.kafka_bootstrap_servers) as gateway:
        topic = gateway.make_topic()
        with posting([f"{gateway.stage}/topics/{topic}"]) as seen:
            wait_until(lambda: len(seen.acknowledged) > 100, 60, "records are acknowledged")
            kafka.kill()
            wait_until(lambda: bool(seen.refused), 60, "records are refused")
            before = len(seen.acknowledged)
            with running("kafka", own_kafka):
                wait_until(lambda: len(seen.acknowledged) > before + 100, 60, "records are acknowledged again")
                wait_until(
                    lambda: httpx.get(f"{gateway.proxy}/readyz", timeout=10).status_code == 200, 60, "it is ready again"
                )
                assert gateway.process.poll() is None
                told = dict(seen.acknowledged)
                seen.strange += not_stored(told, _stored(gateway, topic))
    assert seen.strange == []
    assert set(seen.refused) <= {(200, 50003), (503, 50302)}


def _stored(gateway: Gateway, topic: str) -> dict[Place, bytes | None]:
    return {(0, offset): value for offset, (_, value) in enumerate(gateway.read(topic))}


def test_sigterm_while_answers_are_awaited_lets_them_arrive(start_gateway: StartGateway, own_kafka: Settings) -> None:
    with running("kafka", own_kafka) as kafka, start_gateway(own_kafka.kafka_bootstrap_servers) as gateway:
        topic = gateway.make_topic()
        url, body = f"{gateway.stage}/topics/{topic}", {"records": [{"value": 1}]}
        assert httpx.post(url, json=body, headers=HEADERS, timeout=60).status_code == 200
        with concurrent.futures.ThreadPoolExecutor(20) as threads:
            kafka.send_signal(signal.SIGSTOP)
            try:
                answers = [threads.submit(httpx.post, url, json=body, headers=HEADERS, timeout=60) for _ in range(20)]
                metrics = f"{gateway.proxy}/metrics"
                wait_until(lambda: _gauge(metrics, "gateway_queue_records") >= 20, 30, "20 records wait for Kafka")
                gateway.process.send_signal(signal.SIGTERM)
                wait_until(lambda: not _accepts_connections(gateway), 30, "the gateway takes no more connections")
            finally:
                kafka.send_signal(signal.SIGCONT)
            found = sorted(answer.result(60).json()["offsets"][0]["offset"] for answer in answers)
        assert gateway.process.wait(40) == 0
        assert found == list(range(1, 21))
        assert len(gateway.read(topic)) == 21


def _accepts_connections(gateway: Gateway) -> bool:
    host, _, port = gateway.proxy.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _gauge(url: str, name: str) -> float:
    lines = httpx.get(url, timeout=10).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_a_hundred_clients_that_stall_within_their_body_delay_nobody_and_get_their_answer_at_last(
    gateway: Gateway,
) -> None:
    topic = gateway.make_topic()
    body = json.dumps({"records": [{"value": "slow"}]}).encode()
    head = f"POST /topics/{topic} HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"

    async def main() -> list[bytes]:
        slow = [await _open(gateway) for _ in range(100)]
        for _, writer in slow:
            writer.write(head.encode() + body[:9])
            await writer.drain()
        assert await _slowest_of_quick_requests(gateway, topic) < PATIENT_S
        for _, writer in slow:
            writer.write(body[9:])
        answers = [await asyncio.wait_for(reader.readline(), 30) for reader, _ in slow]
        for _, writer in slow:
            writer.close()
        return answers

    assert set(asyncio.run(main())) == {b"HTTP/1.1 200 OK\r\n"}
    assert [value for _, value in gateway.read(topic)].count(b'"slow"') == 100


def test_clients_that_do_not_read_their_answers_delay_nobody_and_find_them_whole(gateway: Gateway) -> None:
    topic = gateway.make_topic()
    count = 20_000  # an answer of 1.2 MB, more than the sockets buffer
    body = b'{"records":[' + b",".join([b'{"value":1}'] * count) + b"]}"
    head = f"POST /topics/{topic} HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"

    async def main() -> list[int]:
        lazy = [await _open(gateway, limit=4096) for _ in range(8)]
        for _, writer in lazy:
            writer.write(head.encode() + body)
            await writer.drain()
        assert await _slowest_of_quick_requests(gateway, topic) < PATIENT_S
        counts = []
        for reader, writer in lazy:
            found = b""
            while not found.endswith(b'"value_schema_id":null}'):
                found += await asyncio.wait_for(reader.read(65536), 30)
            counts.append(found.count(b'"offset":'))
            writer.close()
        return counts

    assert asyncio.run(main()) == [count] * 8


def test_a_thousand_idle_connections_leave_producers_their_speed(gateway: Gateway) -> None:
    topic = gateway.make_topic()

    async def main() -> float:
        idle = [await _open(gateway) for _ in range(1000)]
        slowest = await _slowest_of_quick_requests(gateway, topic)
        assert all(not writer.is_closing() for _, writer in idle)
        for _, writer in idle:
            writer.close()
        return slowest

    assert asyncio.run(main()) < PATIENT_S
    assert len(gateway.read(topic)) == 50


async def _open(gateway: Gateway, limit: int = 65536) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = gateway.proxy.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port), limit=limit)


async def _slowest_of_quick_requests(gateway: Gateway, topic: str) -> float:
    """Produce 50 records at the same listener, one a request; return the longest seconds of all but the two slowest."""
    seconds = []
    async with httpx.AsyncClient(headers=HEADERS, timeout=30) as client:
        for _ in range(50):
            begun = time.perf_counter()
            answer = await client.post(f"{gateway.proxy}/topics/{topic}", json={"records": [{"value": 1}]})
            seconds.append(time.perf_counter() - begun)
            assert answer.status_code == 200
    return sorted(seconds)[-3]
