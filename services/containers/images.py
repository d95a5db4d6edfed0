"""The stack's images: ours are built when one is missing or what it is made of has changed, the others are pulled."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from containers import causes, engine
from containers.compose import Compose, Service
from native import layout
from pinline.errors import PinlineError
from pinline.runtime import Tell
from pinline.settings import ROOT, Settings

_STAMPS = "images.json"
_COPY = re.compile(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", re.MULTILINE)
_STEP = re.compile(r"#\d+ \[(?P<service>[a-z][\w-]*) (?:(?P<stage>[\w-]+) +)?(?P<step>\d+)/(?P<steps>\d+)\] ")


def are_there(settings: Settings, services: Mapping[str, Service]) -> bool:
    """Tell whether nothing is to be built or pulled."""
    ids = engine.image_ids(service.image for service in services.values())
    return not _missing(services, ids) and not _to_build(settings, services, ids)


def ensure(settings: Settings, compose: Compose, services: Mapping[str, Service], tell: Tell) -> list[str]:
    """Build and pull what is needed; `tell` hears how far each is. All that Docker says is in `log/build.log`.

    Returns the ids of the images that were replaced. Raises PinlineError with the end of the log and the likely cause.
    """
    ids = engine.image_ids(service.image for service in services.values())
    log = log_file(settings)
    layout.make_private(log.parent)
    log.write_text("")
    if names := _to_build(settings, services, ids):
        for name in names:
            tell(name, "building")
        _run(compose, log, tell, "building the images", "--progress", "plain", "build", *names)
        for name in names:
            tell(name, "built")
        _note(settings, [services[name] for name in names])
    if missing := _missing(services, ids):
        for name in missing:
            tell(name, "pulling its image")
        _run(compose, log, tell, "pulling the images", "--progress", "plain", "pull", "--ignore-buildable", *missing)
        for name in missing:
            tell(name, "pulled")
    now = engine.image_ids(ids)
    return [old for image, old in ids.items() if now.get(image) != old]


def log_file(settings: Settings) -> Path:
    """Return the file with all that the last build said."""
    return layout.log_file(settings, "build")


class Steps:
    """How far the builds are, by the lines that they say; their stages work side by side."""

    def __init__(self) -> None:
        self._begun: dict[str, set[tuple[str, int]]] = {}
        self._all: dict[str, dict[str, int]] = {}

    def hear(self, line: str) -> tuple[str, str] | None:
        """Return a service and how far it is, None of a line that begins no step."""
        found = _STEP.match(line)
        if found is None:
            return None
        service, stage = found["service"], found["stage"] or ""
        self._begun.setdefault(service, set()).add((stage, int(found["step"])))
        stages = self._all.setdefault(service, {})
        stages[stage] = max(stages.get(stage, 0), int(found["steps"]))
        return service, f"building: {len(self._begun[service])} of {sum(stages.values())} steps"


def sources(dockerfile: str, root: Path = ROOT) -> str:
    """Return a hash of what an image is made of: its Dockerfile, and all that this copies from the checkout."""
    total = hashlib.sha256()
    for file in sorted(_files(dockerfile, root)):
        total.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes() + b"\0")
    return total.hexdigest()


def remove(services: Iterable[Service]) -> None:
    """Remove the images that were built."""
    if names := sorted(engine.image_ids(service.image for service in services if service.dockerfile)):
        engine.docker("image", "rm", "--force", *names, check=False)


def forget(ids: Iterable[str]) -> None:
    """Remove replaced images, except those that a container still has."""
    for old in ids:
        engine.docker("image", "rm", old, check=False)


def _files(dockerfile: str, root: Path) -> Iterator[Path]:
    yield root / dockerfile
    for words in _COPY.findall((root / dockerfile).read_text()):
        for name in words.split():
            for path in (root / name, *(root / name).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path


def _to_build(settings: Settings, services: Mapping[str, Service], ids: Mapping[str, str]) -> list[str]:
    """Services whose image is to be built, one of each image."""
    noted = _noted(settings)
    first = {service.image: service for service in reversed(list(services.values())) if service.dockerfile}
    return [
        service.name
        for image, service in first.items()
        if image not in ids or noted.get(image) != [ids[image], sources(service.dockerfile)]
    ]


def _missing(services: Mapping[str, Service], ids: Mapping[str, str]) -> list[str]:
    """Services whose image is to be pulled."""
    return [name for name, service in services.items() if not service.dockerfile and service.image not in ids]


def _run(compose: Compose, log: Path, tell: Tell, doing: str, *arguments: str) -> None:
    process, steps = compose.pipe(*arguments), Steps()
    assert process.stdout  # noqa: S101  # it was asked for
    with log.open("a") as out, process.stdout as lines:
        for line in lines:
            out.write(line)
            if heard := steps.hear(line):
                tell(*heard)
    if process.wait():
        said = log.read_text()[-6000:]
        cause = causes.of_command(said, doing)
        raise PinlineError(f"{doing} failed: {cause.text}. The end of {log}:\n{said[-2500:].strip()}\nTry: {cause.do}")


def _note(settings: Settings, built: Sequence[Service]) -> None:
    ids = engine.image_ids(service.image for service in built)
    stamps = {service.image: [ids[service.image], sources(service.dockerfile)] for service in built}
    settings.pinline_local.mkdir(parents=True, exist_ok=True)
    (settings.pinline_local / _STAMPS).write_text(json.dumps({**_noted(settings), **stamps}, indent=2))


def _noted(settings: Settings) -> dict[str, list[str]]:
    try:
        found: dict[str, list[str]] = json.loads((settings.pinline_local / _STAMPS).read_text())
    except (OSError, ValueError):
        return {}
    return found
