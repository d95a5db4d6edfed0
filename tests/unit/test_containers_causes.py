"""What a failure in Docker is said to come of, and what to type."""

import pytest

from containers import causes
from containers.causes import Failure

pytestmark = pytest.mark.unit


def test_a_killed_container_is_told_with_its_limit_and_the_setting_of_its_heap() -> None:
    cause = causes.of(Failure("spark", 137, was_out_of_memory=True, memory_limit=1_600_000_000))
    assert "1,600 MB" in cause.text
    assert "mem_limit" in cause.do
    assert "SPARK_DRIVER_MEMORY" in cause.do
    assert "SPARK_DRIVER_MEMORY" not in causes.of(Failure("kafka", 137)).do


def test_a_child_that_was_killed_is_seen_in_its_parents_words() -> None:
    cause = causes.of(Failure("postgres", 1, log="entrypoint.sh: line 9: 11 Killed   initdb --pwfile=x"))
    assert "for memory" in cause.text


@pytest.mark.parametrize(
    "said",
    [
        "Bind for 127.0.0.1:3306 failed: port is already allocated",
        "listen tcp4 127.0.0.1:3306: bind: address already in use",
    ],
)
def test_a_taken_port_is_named(said: str) -> None:
    assert causes.of(Failure("mysql", error=said)).text == "port 3306 is taken"


def test_a_missing_secret_is_named_with_how_it_comes() -> None:
    said = (
        "error while interpolating services.mysql.environment.MYSQL_ROOT_PASSWORD: "
        "required variable RDS_ROOT_PASSWORD is missing a value: is missing. make up writes it into .env"
    )
    cause = causes.of_command(said, "reading compose.yaml")
    assert cause.text == "RDS_ROOT_PASSWORD is not set"
    assert "make up" in cause.do


@pytest.mark.parametrize(
    "said",
    [
        "python:3.13-slim: failed to resolve source metadata for docker.io/library/python:3.13-slim: no such host",
        "Error response from daemon: pull access denied for pinline/gateway, repository does not exist",
        "Error response from daemon: Get https://registry-1.docker.io/v2/: net/http: TLS handshake timeout",
        "ERROR: Could not find a version that satisfies the requirement boto3==1.43 (from versions: none)",
    ],
)
def test_images_that_can_neither_be_pulled_nor_built_name_the_way_without_docker(said: str) -> None:
    cause = causes.of_command(said, "building the images")
    assert "neither be pulled nor built" in cause.text
    assert "RUNTIME=native" in cause.do


def test_a_network_with_a_certificate_of_its_own_is_told_with_the_setting() -> None:
    said = "failed to do request: tls: failed to verify certificate: x509: certificate signed by unknown authority"
    assert "CA_BUNDLE" in causes.of_command(said, "pulling the images").do


def test_an_unhealthy_container_is_told_with_what_its_check_says() -> None:
    cause = causes.of(Failure("sink", health_output="HTTP/1.1 503\n  no broker"))
    assert cause.text == "its health check says: HTTP/1.1 503 no broker"
    assert "make logs SERVICE=sink" in cause.do


def test_an_exit_code_is_told_with_where_the_log_is() -> None:
    cause = causes.of(Failure("init", 2, log="settings are wrong"))
    assert cause.text == "it ended with exit code 2"
    assert "make logs SERVICE=init" in cause.do


def test_a_full_disk_is_seen_in_the_services_own_words() -> None:
    assert "disk is full" in causes.of(Failure("kafka", 1, log="java.io.IOException: No space left on device")).text


def test_an_unknown_failure_of_a_command_still_names_the_way_without_docker() -> None:
    assert "RUNTIME=native" in causes.of_command("something odd", "building the images").do
