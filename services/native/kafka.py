"""Apache Kafka, KRaft, one node, from the jars of ivy.xml; on 127.0.0.1 at KAFKA_BOOTSTRAP_SERVERS' port."""

import base64
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from native import layout
from native.launch import Launch, render, write
from pinline import java
from pinline.errors import PinlineError, SettingsError
from pinline.settings import Settings

_HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the one broker. Raises SettingsError when there are several."""
    host, _, port = settings.kafka_bootstrap_servers.rpartition(":")
    if "," in host or not port.isdigit():
        raise SettingsError(
            f"KAFKA_BOOTSTRAP_SERVERS is {settings.kafka_bootstrap_servers!r}: "
            "the embedded broker needs one address such as 127.0.0.1:9092"
        )
    return host, int(port)


def launch(settings: Settings) -> Launch:
    """Return how the broker is started."""
    host, port = address(settings)
    folder = layout.service_dir(settings, "kafka")
    properties = render(
        layout.template("kafka", "server.properties"),
        {"host": host, "port": port, "controller_port": settings.kafka_controller_port, "log_dir": folder / "data"},
    )
    return Launch(
        command=(*_java(settings), *_HEAP, "kafka.Kafka", str(folder / "server.properties")),
        files={folder / "server.properties": properties},
        folders=(folder,),
    )


def prepare(settings: Settings) -> None:
    """Format the broker's storage, once. A format that was cut short is done anew."""
    folder = layout.service_dir(settings, "kafka")
    done = folder / "cluster.id"
    if done.exists():
        return
    write(launch(settings))
    shutil.rmtree(folder / "data", ignore_errors=True)
    cluster = cluster_id()
    format_storage(settings, cluster)
    done.write_text(cluster)


def format_storage(settings: Settings, cluster: str) -> None:
    """Format the storage that the written configuration names, for the cluster of that id. Raises PinlineError."""
    folder = layout.service_dir(settings, "kafka")
    command = (*_java(settings), "kafka.tools.StorageTool", "format", "-t", cluster, "-c")
    run = subprocess.run([*command, folder / "server.properties"], capture_output=True, text=True, check=False)
    if run.returncode:
        raise PinlineError(f"formatting Kafka's storage in {folder / 'data'} failed:\n{run.stdout}{run.stderr}")


def cluster_id(source: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """Return a new id in Kafka's form: a UUID in base64, never beginning with `-`, which would read as an option."""
    while True:
        found = base64.urlsafe_b64encode(source().bytes).decode().rstrip("=")
        if not found.startswith("-"):
            return found


def _java(settings: Settings) -> tuple[str, ...]:
    jars = settings.jars_dir / "kafka"
    if not any(jars.glob("kafka_*.jar")):
        raise PinlineError(f"Kafka's jars are not in {jars}. Try: make setup")
    return (
        str(_program()),
        "-cp",
        f"{jars}/*",
        f"-Dlog4j2.configurationFile={layout.template('kafka', 'log4j2.properties')}",
    )


def _program() -> Path:
    return java.find().program
