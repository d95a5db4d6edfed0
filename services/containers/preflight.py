"""What has to hold before the containers start; each problem is a text that names cause and next command."""

import shutil
import socket
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import psutil

from containers import engine
from containers.compose import Container, Service, local_address
from containers.engine import Engine
from native import preflight
from pinline import runtime_choice
from pinline.settings import Settings, env_file

MEMORY_BYTES = 5_500_000_000
"""Less can't hold the stack: its limits are 8 GB in all, of which it uses some 6."""
DISK_BYTES = 1_500_000_000
IMAGES_BYTES = 7_000_000_000
"""Of the disk too, while images are made."""

_ADDRESSES = {
    "mysql": "RDS_HOST",
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "s3": "AWS_ENDPOINT_URL_S3",
    "kinesis": "AWS_ENDPOINT_URL_KINESIS",
    "kinesis-localstack": "AWS_ENDPOINT_URL_KINESIS",
    "api": "API_INVOKE_URL",
    "spark": "SPARK_REMOTE",
    "workspace": "DATABRICKS_HOST",
}
"""Services that the commands of this machine find by a setting."""


_ADDRESSES_ON_AWS = ("KAFKA_BOOTSTRAP_SERVERS", "RDS_HOST", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_KINESIS")
"""What containers read as it stands in `.env` when nothing stands in for AWS."""


def problems(
    settings: Settings,
    services: Mapping[str, Service],
    found: Iterable[Container],
    docker: Engine,
    *,
    needs_images: bool,
    on_account: bool,
) -> list[str]:
    """Return all that would keep `services` from starting; `found` are the containers that are there already.

    `on_account`: whether AWS's own take the place of what stands in for them (compose.aws.yaml).
    """
    own = frozenset(port for container in found if container.state == "running" for port in container.ports)
    return [
        *preflight.key_problems(),
        *memory_problems(docker),
        *disk_problems(docker.root, DISK_BYTES + (IMAGES_BYTES if needs_images else 0)),
        *(account_problems(settings) if on_account else address_problems(settings, services)),
        *port_problems(settings, services, own),
    ]


def memory_problems(docker: Engine, needed: int = MEMORY_BYTES) -> list[str]:
    """The memory that the engine has: all of the machine's, or what its virtual machine was given."""
    if not docker.memory_bytes or docker.memory_bytes >= needed:
        return []
    found = f"Docker has {docker.memory_bytes / 1e9:.1f} GB of memory and the stack needs {needed / 1e9:.1f}"
    return [f"{found}: give it more (Docker Desktop: Settings, Resources), or go without it: RUNTIME=native"]


def disk_problems(root: Path, needed: int) -> list[str]:
    """Free space where the engine keeps images and volumes, if that is a folder of this machine."""
    if not root.is_dir():
        return []
    free = shutil.disk_usage(root).free
    if free >= needed:
        return []
    found = f"{free / 1e9:.1f} GB are free in {root} (Docker's folder) and {needed / 1e9:.1f} GB are needed"
    return [f"{found}: free some. What Docker could let go of: docker system df"]


def address_problems(settings: Settings, services: Mapping[str, Service]) -> list[str]:
    """Services of this machine that the settings don't point at: they would run, and nobody would ask them."""
    found = []
    for name, setting in _ADDRESSES.items():
        if name not in services or not services[name].ports or local_address(settings, setting):
            continue
        value = getattr(settings, setting.lower())
        port = services[name].ports[0]
        found.append(
            f"{setting} is {value or 'not set'}, and the stack's {name} listens on 127.0.0.1:{port}, where nobody "
            f"would ask it: set {setting} in {env_file()} to an address of 127.0.0.1, or for AWS "
            "COMPOSE_FILE=compose.yaml:compose.aws.yaml"
        )
    return found


def account_problems(settings: Settings) -> list[str]:
    """Addresses of this machine where containers look for AWS's: in a container they are the container's own."""
    return [
        f"{setting} is {getattr(settings, setting.lower())}, and containers look for AWS's there: set it in "
        f"{env_file()} (docs/aws.md says where to find it)"
        for setting in _ADDRESSES_ON_AWS
        if local_address(settings, setting)
    ]


def port_problems(settings: Settings, services: Mapping[str, Service], own: frozenset[int]) -> list[str]:
    """Ports that somebody else listens on, with who it is and which setting moves ours; `own` are the stack's."""
    named = settings_of_ports(settings)
    found = []
    for port in sorted({port for service in services.values() for port in service.ports} - own):
        if not _is_free(port):
            setting = named.get(port, "its setting")
            found.append(
                f"port {port} ({setting}) is taken by {_holder(settings, port)}: stop that, "
                f"or set {setting} in {env_file()} to a free port"
            )
    return found


def settings_of_ports(settings: Settings) -> dict[int, str]:
    """Return the setting that moves each port."""
    found = {port: name.upper() for name, port in dict(settings).items() if name.endswith("_port")}
    addressed = {setting: local_address(settings, setting) for setting in _ADDRESSES.values() if setting != "RDS_HOST"}
    return {**found, **{place[1]: setting for setting, place in addressed.items() if place}}


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(settings: Settings, port: int) -> str:
    if container := engine.holder(port):
        return f"the container {container}"
    if runtime_choice.native_runs(settings.pinline_data):
        return "the native stack of this checkout (make down RUNTIME=native)"
    try:
        return preflight.listener(port)
    except psutil.Error:  # macOS doesn't tell everybody
        return f"a process (`sudo lsof -iTCP:{port} -sTCP:LISTEN` names it)"
