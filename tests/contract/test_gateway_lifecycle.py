"""Start, stop, a Kafka that is not there, and clients that are slow."""

import asyncio
import concurrent.futures
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from pinline.settings import Settings
from tests.fixtures.backends import free_port, running, wait_until
from tests.fixtures.gateway import Gateway, StartGateway
from tests.fixtures.http import HTTP

pytestmark = pytest.mark.contract

HEADERS = {"Content-Type": "application/vnd.kafka.json.v2+json"}


def test_sigterm_under_load_leaves_every_200_in_kafka(kafka_broker: str, start_gateway: StartGateway) -> None:
    with start_gateway(kafka_broker) as gateway:
        topic = gateway.make_topic()
        acknowledged: list[tuple[int, bytes]] = []
        ended = threading.Event()

        def client(number: int) -> None:
            with httpx.Client(headers=HEADERS, timeout=60) as http:
                for n in range(1_000_000):
                    value = number * 1_000_000 + n
                    try:
                        answer = http.post(f"{gateway.stage}/topics/{topic}", json={"records": [{"value": value}] * 3})
                    except httpx.HTTPError:
                        break
                    if answer.status_code == 200:
                        entries = answer.json()["offsets"]
                        assert all(entry["error_code"] is None for entry in entries)
                        acknowledged.extend((entry["offset"], b"%d" % value) for entry in entries)
            ended.set()

        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            clients = [threads.submit(client, number) for number in range(8)]
            wait_until(lambda: len(acknowledged) > 300 or ended.is_set(), 60, "300 records are acknowledged")
            gateway.process.send_signal(signal.SIGTERM)
            for done in clients:
                done.result(60)
        assert gateway.process.wait(40) == 0
        assert len(acknowledged) > 300
        stored = dict(enumerate(value for _, value in gateway.read(topic)))
        assert all(stored[offset] == value for offset, value in acknowledged)


def test_without_kafka_it_lives_is_not_ready_and_answers_503(start_gateway: StartGateway) -> None:
    with start_gateway(f"127.0.0.1:{free_port()}") as gateway:
        assert HTTP.get(f"{gateway.root}/healthz").status_code == 200
        with httpx.Client(timeout=60) as http:
            assert http.get(f"{gateway.proxy}/readyz").status_code == 503
            answers = [
                http.get(f"{gateway.proxy}/topics"),
                http.post(f"{gateway.stage}/topics/t", json={"records": [{"value": 1}]}, headers=HEADERS),
            ]
        assert [(answer.status_code, answer.json()["error_code"]) for answer in answers] == [(503, 50302)] * 2


@pytest.mark.faults
def test_records_that_kafka_does_not_acknowledge_are_50003_and_later_ones_arrive(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        pinline_data=tmp_path / "kafka",
        kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
        kafka_controller_port=free_port(),
    )
    settings.pinline_data.mkdir()
    with running("kafka", settings) as kafka, start_gateway(settings.kafka_bootstrap_servers) as gateway:
        url = f"{gateway.stage}/topics/{gateway.make_topic()}"
        assert _post(url).json()["offsets"][0]["offset"] == 0
        kafka.send_signal(signal.SIGSTOP)
        try:
            answer = _post(url)
        finally:
            kafka.send_signal(signal.SIGCONT)
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 29
        assert answer.json()["offsets"][0]["error_code"] == 50003
        wait_until(lambda: _post(url).json()["offsets"][0]["error_code"] is None, 60, "a record is written again")


def test_a_taken_port_is_named_with_its_setting(gateway: Gateway, tmp_path: Path) -> None:
    environment = {
        "PINLINE_ENV_FILE": str(tmp_path / "no.env"),
        "API_INVOKE_URL": f"http://127.0.0.1:{free_port()}/dev",
        "REST_PROXY_PORT": gateway.proxy.rpartition(":")[2],
    }
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "REST_PROXY_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_invoke_url_without_a_stage_is_refused(tmp_path: Path) -> None:
    environment = {"PINLINE_ENV_FILE": str(tmp_path / "no.env"), "API_INVOKE_URL": "http://127.0.0.1:8000"}
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "API_INVOKE_URL" in ended.stderr


def test_a_thousand_idle_connections_leave_others_their_answers(gateway: Gateway) -> None:
    host, _, port = gateway.proxy.removeprefix("http://").partition(":")

    async def hold_and_ask() -> int:
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(1000)]
        async with httpx.AsyncClient() as client:
            status = (await client.get(f"{gateway.proxy}/healthz")).status_code
        for _, writer in idle:
            writer.close()
        return status

    assert asyncio.run(hold_and_ask()) == 200


def test_a_client_that_leaves_within_its_body_disturbs_nobody(gateway: Gateway) -> None:
    host, _, port = gateway.proxy.removeprefix("http://").partition(":")

    async def leave() -> None:
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /topics/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: {HEADERS['Content-Type']}"
        writer.write(f"{head}\r\n\r\n{{".encode())
        await writer.drain()
        writer.close()

    asyncio.run(leave())
    wait_until(
        lambda: 'status="408"' in HTTP.get(f"{gateway.proxy}/metrics").text, 10, "the unfinished request is counted"
    )
    assert "request_failed" not in gateway.log.read_text()


def test_the_access_log_is_one_json_line_a_request(kafka_broker: str, start_gateway: StartGateway) -> None:
    with start_gateway(kafka_broker, GATEWAY_ACCESS_LOG="true") as gateway:
        HTTP.get(f"{gateway.stage}/brokers")
        wait_until(lambda: '"resourcePath": "/brokers"' in gateway.log.read_text(), 10, "the request is logged")


def _post(url: str) -> httpx.Response:
    return HTTP.post(url, json={"records": [{"value": 1}]}, headers=HEADERS, timeout=60)
