"""compose.yaml and each override, as Compose itself reads them: no engine is asked."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from pinline.settings import ROOT, Settings
from tests.compose import plugin
from tests.compose.engine import say

pytestmark = pytest.mark.compose

_SECRETS = {
    name.upper(): f"secret-{name}"
    for name, field in Settings.model_fields.items()
    if "SecretStr" in str(field.annotation)
}
_ON_AWS = {
    "KAFKA_BOOTSTRAP_SERVERS": "b-1.example.kafka.us-east-1.amazonaws.com:9098",
    "RDS_HOST": "example.us-east-1.rds.amazonaws.com",
    "API_INVOKE_URL": "https://example.execute-api.us-east-1.amazonaws.com/prod",
}


@pytest.fixture(scope="session")
def compose() -> dict[str, str]:
    """The environment in which `docker compose` works."""
    return {**os.environ, **plugin.ensure(os.environ, say)}


def model(compose: Mapping[str, str], *overrides: str, **settings: str) -> dict[str, Any]:
    """Return what Compose makes of the files and settings."""
    files = [word for name in ("compose.yaml", *overrides) for word in ("--file", name)]
    environment = {**compose, **_SECRETS, **settings}
    command = ["docker", "compose", "--env-file", "/dev/null", *files, "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("kinesis", "service", "other"),
    [("own", "kinesis", "kinesis-localstack"), ("localstack", "kinesis-localstack", "kinesis")],
)
def test_one_setting_says_which_kinesis_runs_and_no_address_changes(
    compose: Mapping[str, str], kinesis: str, service: str, other: str
) -> None:
    services = model(compose, COMPOSE_PROFILES=kinesis)["services"]
    assert service in services
    assert other not in services
    assert services["gateway"]["environment"]["AWS_ENDPOINT_URL_KINESIS"] == "http://kinesis:4567"
    assert "kinesis" in {service, *(services[service]["networks"]["default"] or {}).get("aliases", [])}


def test_no_port_is_published_beyond_this_machine_and_memory_limits_fit_8_gb(compose: Mapping[str, str]) -> None:
    services = model(compose, COMPOSE_PROFILES="localstack")["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) >= 11
    assert {port.get("host_ip") for port in published} == {"127.0.0.1"}
    lasting = {name: service for name, service in services.items() if service.get("restart") == "unless-stopped"}
    assert all("mem_limit" in service for service in lasting.values())
    assert sum(int(service["mem_limit"]) for service in lasting.values()) <= 8 * 2**30


def test_a_missing_password_is_named_with_what_writes_it(compose: Mapping[str, str]) -> None:
    environment = {**compose, **_SECRETS}
    del environment["RDS_PASSWORD"]
    command = ["docker", "compose", "--env-file", "/dev/null", "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "RDS_PASSWORD is missing" in done.stderr.replace('"', "")
    assert "make up" in done.stderr


def test_with_redpanda_only_the_broker_changes(compose: Mapping[str, str]) -> None:
    plain, changed = model(compose)["services"], model(compose, "compose.redpanda.yaml")["services"]
    assert changed["kafka"]["image"].startswith("redpandadata/redpanda:v25.3")
    assert not changed["kafka"].get("environment")
    assert "--advertise-kafka-addr=INTERNAL://kafka:19092,HOST://127.0.0.1:9092" in changed["kafka"]["command"]
    assert {name for name in plain if plain[name] != changed[name]} == {"kafka"}


def test_with_ministack_s3_has_a_volume(compose: Mapping[str, str]) -> None:
    plain, changed = model(compose)["services"], model(compose, "compose.ministack.yaml")["services"]
    assert [(volume["type"], volume["target"]) for volume in changed["s3"]["volumes"]] == [("volume", "/data")]
    assert {name for name in plain if plain[name] != changed[name]} == {"s3"}


def test_on_aws_nothing_stands_in_and_every_address_is_of_the_settings(compose: Mapping[str, str]) -> None:
    services = model(compose, "compose.aws.yaml", COMPOSE_PROFILES="localstack", **_ON_AWS)["services"]
    assert not {"mysql", "kafka", "s3", "kinesis", "kinesis-localstack", "seed"} & services.keys()
    for name in ("gateway", "sink", "stream", "spark", "workspace"):
        environment = services[name]["environment"]
        assert environment["KAFKA_BOOTSTRAP_SERVERS"] == _ON_AWS["KAFKA_BOOTSTRAP_SERVERS"]
        assert not environment["AWS_ENDPOINT_URL_S3"]
        assert not environment["AWS_ENDPOINT_URL_KINESIS"]
