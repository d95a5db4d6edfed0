"""What `docker inspect` tells of every container and image: no more rights than the work takes, no secret baked in."""

import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values

from pinline.settings import ROOT, Settings
from tests.compose.stack import ContainerStack, inspect

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2400)]

_OWN = ("gateway", "sink", "kinesis", "spark", "workspace", "airflow", "emulator")
_SECRET = ("PASSWORD", "SECRET", "SECRET_ACCESS_KEY", "TOKEN")
_MOST_MB = {"gateway": 250, "sink": 250, "kinesis": 250, "spark": 1100}


def test_no_container_is_root_or_has_a_capability_or_can_get_one(stack: ContainerStack) -> None:
    found = stack.inspected()
    assert len(found) >= 17
    for container in found:
        host, name = container["HostConfig"], container["Name"]
        assert container["Config"]["User"].partition(":")[0] not in ("", "0", "root"), name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert not host["Privileged"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["ReadonlyRootfs"], name
        assert host["NetworkMode"] != "host", name


def test_no_port_is_open_beyond_the_loopback_address(stack: ContainerStack) -> None:
    bound = [
        place["HostIp"]
        for container in stack.inspected()
        for places in container["HostConfig"]["PortBindings"].values()
        for place in places
    ]
    assert set(bound) == {"127.0.0.1"}


def test_no_secret_is_in_an_image_or_in_git(stack: ContainerStack) -> None:
    secrets = [
        value.get_secret_value()
        for name in Settings.model_fields
        if hasattr(value := getattr(stack.settings, name), "get_secret_value")
    ]
    assert len(secrets) >= 8
    for name in _OWN:
        image = f"pinline/{name}"
        command = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        said += str(inspect(image, kind="image")[0]["Config"])
        assert not [secret for secret in secrets if secret in said], image
        assert "/run/secrets/ca_bundle" not in str(inspect(image, kind="image")[0]["Config"]["Env"])
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in [name for name in tracked if Path(name).name.startswith(".env") or name.endswith(".env")]:
        set_there = dotenv_values(ROOT / name, interpolate=False)
        given = {
            key for key, value in set_there.items() if key.endswith(_SECRET) and value and not value.startswith("${")
        }
        assert not given, name


@pytest.mark.parametrize("name", sorted(_MOST_MB))
def test_an_image_is_small(stack: ContainerStack, name: str) -> None:
    assert inspect(f"pinline/{name}", kind="image")[0]["Size"] <= _MOST_MB[name] * 10**6
