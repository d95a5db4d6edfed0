"""What a container's health check calls healthy."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from prometheus_client import CollectorRegistry

from pinline.healthy import main
from pinline.metrics import serve
from tests.fixtures.backends import free_port

pytestmark = pytest.mark.unit


@pytest.fixture
def status() -> dict[str, Any]:
    """What the service says of itself."""
    return {"ready": True}


@pytest.fixture
def service(status: dict[str, Any]) -> Iterator[str]:
    """The address of a service that has what every service of ours has."""
    port = free_port()
    end = serve(port, "SINK_METRICS_PORT", CollectorRegistry(), lambda: status)
    yield f"http://127.0.0.1:{port}"
    end()


@pytest.fixture
def spark() -> Iterator[str]:
    """The address of a gRPC server, as Spark Connect's."""
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"sc://127.0.0.1:{port}"
        server.stop(0).wait()


@pytest.fixture
def silent() -> Iterator[str]:
    """The host and port of a program that ends each connection without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connection.recv(1)
                connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_service_that_is_ready_is_healthy(service: str) -> None:
    assert main([f"{service}/readyz", f"{service}/healthz"]) == 0


def test_one_address_that_is_not_ready_is_enough_to_be_unhealthy_and_its_answer_is_shown(
    service: str, status: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    status |= {"ready": False, "problem": "Kafka is away"}
    assert main([f"{service}/healthz", f"{service}/readyz"]) == 1
    shown = capsys.readouterr().err
    assert "503" in shown
    assert "Kafka is away" in shown


def test_a_grpc_server_is_a_healthy_spark(spark: str) -> None:
    assert main([spark]) == 0


def test_a_port_that_speaks_http_only_is_no_spark(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([service.replace("http://", "sc://")]) == 1
    assert "no HTTP/2" in capsys.readouterr().err


def test_a_program_that_hangs_up_is_unhealthy(silent: str) -> None:
    assert main([f"http://{silent}/readyz"]) == 1
    assert main([f"sc://{silent}"]) == 1


def test_a_port_without_a_listener_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}/readyz"
    assert main([url]) == 1
    assert url in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["127.0.0.1:8000"], ["https://127.0.0.1/readyz"]])
def test_a_wrong_command_line_says_what_is_expected(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    shown = capsys.readouterr().err
    assert "URL" in shown or "http://host:port/path" in shown
