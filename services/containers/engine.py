"""The Docker engine, asked by its own command line."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pinline import runtime_choice
from pinline.errors import PinlineError
from pinline.runtime_choice import CHECKOUT_LABEL, PROJECT_LABEL

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


@dataclass(frozen=True)
class Engine:
    """What `docker info` tells."""

    version: str
    memory_bytes: int
    root: Path
    """Where it keeps images and volumes: on this machine, or on the virtual one that it runs in."""


@dataclass(frozen=True)
class Inspected:
    """What `docker inspect` tells of a container."""

    id: str
    service: str
    image: str
    started_at: datetime | None
    exit_code: int
    was_out_of_memory: bool
    error: str
    """Why the engine could not start it."""
    restarts: int
    health_output: str
    """What its health check said last."""


def docker(*arguments: str, check: bool = True) -> str:
    """Run `docker ...` and return its standard output. Raises PinlineError unless `check` is off."""
    if shutil.which("docker") is None:
        raise PinlineError("there is no `docker` on PATH: install Docker and its Compose plugin, or RUNTIME=native")
    done = subprocess.run(["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise PinlineError(f"`docker {' '.join(arguments[:3])}` failed: {done.stderr.strip()[-1500:]}")
    return done.stdout


def engine() -> Engine:
    """Return the engine. Raises PinlineError, which names RUNTIME=native, if there is none or it has no Compose."""
    if problem := runtime_choice.docker_problem():
        raise PinlineError(
            f"{problem}. Start Docker (is this user allowed to use it? Try: docker info), "
            "or run the stack without it: RUNTIME=native"
        )
    info = json.loads(docker("info", "--format", "{{json .}}"))
    return Engine(info["ServerVersion"], int(info.get("MemTotal") or 0), Path(info.get("DockerRootDir") or "/"))


def inspect(ids: Iterable[str]) -> dict[str, Inspected]:
    """Return what the engine knows of containers, by the first 12 digits of their id; not of those that are gone."""
    wanted = list(ids)
    if not wanted:
        return {}
    found = [_inspected(entry) for entry in json.loads(docker("container", "inspect", *wanted, check=False) or "[]")]
    return {container.id: container for container in found}


def image_ids(names: Iterable[str]) -> dict[str, str]:
    """Return the ids of those images that are there, by name."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    entries = json.loads(docker("image", "inspect", *wanted, check=False) or "[]")
    tags = {tag: entry["Id"] for entry in entries for tag in entry.get("RepoTags") or ()}
    return {name: tags[found] for name in wanted if (found := name if ":" in name else f"{name}:latest") in tags}


def memory(ids: Iterable[str]) -> dict[str, int]:
    """Return the bytes that running containers use, by id."""
    wanted = list(ids)
    if not wanted:
        return {}
    lines = docker("stats", "--no-stream", "--format", "{{json .}}", *wanted, check=False).splitlines()
    return memory_of(json.loads(line) for line in lines)


def memory_of(stats: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Return bytes by id, of the lines of `docker stats`, whose MemUsage is such as `123.4MiB / 512MiB`."""
    return {line["ID"][:12]: size(line["MemUsage"].partition("/")[0]) for line in stats}


def size(text: str) -> int:
    """Return the bytes of Docker's `123.4MiB`; 0 of what is none.

    >>> size("1.5KiB")
    1536
    """
    found = re.fullmatch(r"([\d.]+)\s*([A-Za-z]+)", text.strip())
    return round(float(found[1]) * _UNITS.get(found[2].upper(), 0)) if found else 0


def holder(port: int) -> str | None:
    """Return the name of the container that has a port of this machine."""
    return docker("ps", "--filter", f"publish={port}", "--format", "{{.Names}}", check=False).strip() or None


def checkouts(project: str) -> set[Path]:
    """Return the folders from which the containers of a Compose project were made."""
    form = f'{{{{.Label "{CHECKOUT_LABEL}"}}}}'
    found = docker("ps", "--all", "--filter", f"label={PROJECT_LABEL}={project}", "--format", form, check=False)
    return {Path(line) for line in found.splitlines() if line}


def remove_volumes(project: str) -> None:
    """Remove the volumes that a Compose project has. Raises PinlineError, which names one that is in use."""
    found = docker("volume", "ls", "--quiet", "--filter", f"label={PROJECT_LABEL}={project}").split()
    if found:
        docker("volume", "rm", *found)


def moment(text: str) -> datetime | None:
    """Return one of Docker's times, whose nanoseconds Python doesn't read; None of the one that means never."""
    if not text or text.startswith("0001"):
        return None
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00"))


def _inspected(entry: Mapping[str, Any]) -> Inspected:
    state = entry["State"]
    checks = (state.get("Health") or {}).get("Log") or []
    labels = entry["Config"].get("Labels") or {}
    return Inspected(
        entry["Id"][:12],
        labels.get("com.docker.compose.service", ""),
        entry["Config"]["Image"],
        moment(state.get("StartedAt", "")),
        state.get("ExitCode", 0),
        bool(state.get("OOMKilled")),
        state.get("Error") or "",
        entry.get("RestartCount", 0),
        (checks[-1].get("Output") or "").strip() if checks else "",
    )
