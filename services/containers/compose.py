"""`docker compose` on this checkout: the command, what is in its environment, and its answers as values."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import SecretStr

from containers import causes
from pinline.errors import PinlineError
from pinline.settings import ROOT, Settings, address

PORTS = {
    "KAFKA_PORT": "KAFKA_BOOTSTRAP_SERVERS",
    "S3_PORT": "AWS_ENDPOINT_URL_S3",
    "KINESIS_PORT": "AWS_ENDPOINT_URL_KINESIS",
    "API_PORT": "API_INVOKE_URL",
    "SPARK_PORT": "SPARK_REMOTE",
    "WORKSPACE_PORT": "DATABRICKS_HOST",
}
"""What compose.yaml publishes a service on, and the setting whose address it is taken from."""

MAIN_FILE = "compose.yaml"
_REPLACED = 5
"""Containers replaced one after the other, between questions."""
_HERE = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Container:
    """A container of the project, as `docker compose ps` shows it."""

    id: str
    service: str
    state: str
    """Docker's word: created, running, restarting, paused, exited, dead."""
    health: str
    """starting, healthy, unhealthy; empty if it has no health check."""
    exit_code: int
    ports: frozenset[int]
    """Of this machine."""


@dataclass(frozen=True)
class Service:
    """A service of compose.yaml, as `docker compose config` resolves it."""

    name: str
    image: str
    dockerfile: str
    """What its image is built by, as a path of the checkout; empty if it is pulled."""
    is_task: bool
    """Whether it does its work once and ends."""
    has_check: bool
    """Whether its health is checked, by compose.yaml."""
    ports: tuple[int, ...]
    """Of this machine; the first is the one to show."""
    memory: int | None
    """Its limit, in bytes."""
    needs: tuple[str, ...] = ()
    """The services that Compose starts before it."""


class ComposeError(PinlineError):
    """`docker compose` failed: the text has the end of what it said (`output`), the likely cause and what to do."""

    def __init__(self, doing: str, output: str) -> None:
        cause = causes.of_command(output, doing)
        super().__init__(f"{doing} failed: {cause.text}. Docker said:\n{output.strip()[-2500:]}\nTry: {cause.do}")
        self.output = output


class GoneError(ComposeError):
    """A container was gone between Compose's two questions."""


class Compose:
    """`docker compose` with the settings of one stack.

    `complete` says that every secret has to be set, as for starting; what only looks or stops needs none. `outside` is
    the environment to add to, this process's by default: its PINLINE_ENV_FILE names the `.env`.
    """

    def __init__(self, settings: Settings, *, complete: bool = False, outside: Mapping[str, str] | None = None) -> None:
        outside = os.environ if outside is None else outside
        self._file = ROOT / outside.get("PINLINE_ENV_FILE", ".env")
        dotenv = dotenv_values(self._file, interpolate=False)
        self._files = files_of(outside.get("COMPOSE_FILE") or dotenv.get("COMPOSE_FILE") or MAIN_FILE)
        profiles = outside.get("COMPOSE_PROFILES", dotenv.get("COMPOSE_PROFILES"))
        self._environment = environment(settings, outside, profiles, complete=complete)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        files = [word for file in self._files for word in ("--file", file)]
        # before there is an `.env`, what it will be made from: a stack without one can be looked at
        env_file = self._file if self._file.exists() else ROOT / ".env.example"
        own = ["--project-directory", str(ROOT), "--env-file", str(env_file), *files]
        return ["docker", "compose", *own, *arguments]

    def run(self, doing: str, *arguments: str) -> str:
        """Run a command to its end and return its output. Raises ComposeError, which begins with `doing`."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ComposeError(doing, done.stdout + done.stderr)
        return done.stdout

    def start(self, log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command whose output goes to the file `log`."""
        with log.open("ab") as out:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def pipe(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command whose output is read line by line."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def show(self, *arguments: str) -> int:
        """Run a command that prints for the user; return its exit code."""
        return subprocess.run(self.command(*arguments), cwd=ROOT, env=self._environment, check=False).returncode

    def services(self, *, of_all_profiles: bool = False) -> dict[str, Service]:
        """Return the services that the profiles let run, in the order of compose.yaml. Raises ComposeError."""
        profiles = ("--profile", "*") if of_all_profiles else ()
        text = self.run("reading compose.yaml", *profiles, "config", "--format", "json")
        return services(json.loads(text), (ROOT / MAIN_FILE).read_text())

    def containers(self) -> list[Container]:
        """Return all containers of the project, those that have ended too.

        Compose lists them and asks for each: one that is replaced in between is no error, and it is asked again.
        """
        for _ in range(_REPLACED):
            with suppress(GoneError):
                return self._containers()
        return self._containers()

    def _containers(self) -> list[Container]:
        try:
            return containers(self.run("asking for the stack's containers", "ps", "--all", "--format", "json"))
        except ComposeError as error:
            if "No such container" in error.output:
                raise GoneError("asking for the stack's containers", error.output) from None
            raise


def environment(
    settings: Settings, outside: Mapping[str, str], profiles: str | None = None, *, complete: bool
) -> dict[str, str]:
    """Return what `docker compose` has in its environment, which wins over what it reads in `.env` itself.

    Every setting that is set, the ports that are taken from addresses, and the profile: so compose.yaml sees what the
    commands of this machine see. Unless `complete`, a secret that is not set has a stand-in. `profiles` is
    COMPOSE_PROFILES, where `${KINESIS}` is the setting; without it the setting alone.
    """
    values = {
        name.upper(): _text(value)
        for name in settings.model_fields_set
        if (value := getattr(settings, name)) is not None
    }
    if not complete:
        values = {**dict.fromkeys(_secret_names(settings), "missing"), **values}
    values |= {name: str(port) for name, port in ports(settings).items()}
    values["API_STAGE"] = urlsplit(settings.api_invoke_url).path.strip("/") or "dev"
    if settings.ca_bundle:
        values["CA_BUNDLE"] = str(settings.ca_bundle)
    return {
        **outside,
        **values,
        "COMPOSE_PROFILES": settings.kinesis if profiles is None else profiles.replace("${KINESIS}", settings.kinesis),
        "COMPOSE_BAKE": "false",
        "DOCKER_BUILDKIT": "1",
        "BUILDKIT_PROGRESS": "plain",
    }


def ports(settings: Settings) -> dict[str, int]:
    """Return the ports that compose.yaml takes by name, of the settings whose address is of this machine."""
    return {name: place[1] for name, setting in PORTS.items() if (place := local_address(settings, setting))}


def local_address(settings: Settings, setting: str) -> tuple[str, int] | None:
    """Return host and port of a setting's address if it is of this machine, where containers publish."""
    value = getattr(settings, setting.lower())
    if setting == "RDS_HOST":
        place = (value, settings.rds_port)
    elif setting == "KAFKA_BOOTSTRAP_SERVERS":
        host, _, port = value.rpartition(":")
        place = (host, int(port) if port.isdigit() else 0)
    else:
        place = address(value) if value else ("", 0)
    return place if place[0] in _HERE else None


def files_of(value: str) -> list[str]:
    """Return the files that COMPOSE_FILE names, compose.yaml first, which is there whether it is named or not."""
    names = [name for name in value.split(os.pathsep) if name]
    return [MAIN_FILE, *(name for name in names if name != MAIN_FILE)]


def services(model: Mapping[str, Any], source: str) -> dict[str, Service]:
    """Return the services of `docker compose config --format json`, in the order in which `source` names them."""
    order = {name: found for name in model["services"] if (found := source.find(f"\n  {name}:")) >= 0}
    names = sorted(model["services"], key=lambda name: (order.get(name, len(source)), name))
    return {name: _service(name, model["services"][name]) for name in names}


def containers(text: str) -> list[Container]:
    """Return what `docker compose ps --format json` prints: an object a line, or (before 2.21) one list."""
    text = text.strip()
    entries = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    return [
        Container(
            entry["ID"][:12],
            entry["Service"],
            entry["State"],
            entry.get("Health") or "",
            int(entry.get("ExitCode") or 0),
            frozenset(place["PublishedPort"] for place in entry.get("Publishers") or () if place["PublishedPort"]),
        )
        for entry in entries
    ]


def of_service(found: Iterable[Container], name: str) -> list[Container]:
    """Return the containers of one service; there are several after `--scale`."""
    return [container for container in found if container.service == name]


def _service(name: str, entry: Mapping[str, Any]) -> Service:
    published = (place.get("published") for place in entry.get("ports") or ())
    memory = entry.get("mem_limit")
    return Service(
        name,
        entry.get("image", ""),
        (entry.get("build") or {}).get("dockerfile", ""),
        entry.get("restart", "no") == "no",
        bool(entry.get("healthcheck")) and not entry["healthcheck"].get("disable"),
        tuple(int(port) for port in published if port and str(port).isdigit()),
        int(memory) if memory else None,
        tuple(entry.get("depends_on") or ()),
    )


def _secret_names(settings: Settings) -> list[str]:
    return [name.upper() for name, field in type(settings).model_fields.items() if "SecretStr" in str(field.annotation)]


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)
