"""The stack's images: ours are built when one is missing or its sources have changed, the others are pulled."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from containers import causes, engine
from containers.compose import Compose, Service
from native import layout
from pinline.errors import PinlineError
from pinline.runtime import Tell
from pinline.settings import ROOT, Settings

_SOURCES = ("airflow", "emulator", "pinline", "requirements", "seed_data", "services", "spark")
_STEP = re.compile(r"#\d+ \[(?P<service>[a-z][\w-]*) (?:(?P<stage>[\w-]+) +)?(?P<step>\d+/\d+)\] ")
_STAMPS = "images.json"


def are_there(settings: Settings, services: Mapping[str, Service]) -> bool:
    """Tell whether nothing is to be built or pulled."""
    ids = engine.image_ids(service.image for service in services.values())
    return not _missing(services, ids) and not _to_build(settings, services, ids)


def ensure(settings: Settings, compose: Compose, services: Mapping[str, Service], tell: Tell) -> None:
    """Build and pull what is needed; `tell` hears how far each is. All that Docker says is in `log/build.log`.

    Raises PinlineError with the end of that and the likely cause.
    """
    ids = engine.image_ids(service.image for service in services.values())
    log = log_file(settings)
    layout.make_private(log.parent)
    if names := _to_build(settings, services, ids):
        with log.open("w") as out:
            out.write("")
        for name in names:
            tell(name, "building")
        _run(compose, log, tell, "building the images", "--progress", "plain", "build", *names)
        for name in names:
            tell(name, "built")
        _note(settings, services)
    if missing := _missing(services, ids):
        for name in missing:
            tell(name, "pulling its image")
        _run(compose, log, tell, "pulling the images", "--progress", "plain", "pull", "--ignore-buildable", *missing)
        for name in missing:
            tell(name, "pulled")


def log_file(settings: Settings) -> Path:
    """Return the file with all that the last build said."""
    return layout.log_file(settings, "build")


def step_of(line: str, services: Iterable[str]) -> tuple[str, str] | None:
    """Return the service and the step that a line of a build is about, None of other lines.

    >>> step_of("#12 [gateway builder 2/5] RUN pip install", ["gateway"])
    ('gateway', 'building: builder 2/5')
    """
    found = _STEP.match(line)
    if found is None or found["service"] not in services:
        return None
    stage = f"{found['stage']} " if found["stage"] else ""
    return found["service"], f"building: {stage}{found['step']}"


def sources(root: Path = ROOT) -> str:
    """Return a hash of all that an image may be made of."""
    files = [root / "pyproject.toml", root / ".dockerignore", *sorted(root.glob("compose*.yaml"))]
    for folder in _SOURCES:
        files += sorted(path for path in (root / folder).rglob("*") if "__pycache__" not in path.parts)
    total = hashlib.sha256()
    for file in files:
        if file.is_file():
            total.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes() + b"\0")
    return total.hexdigest()


def remove(services: Iterable[Service]) -> None:
    """Remove the images that were built."""
    if names := sorted(engine.image_ids(service.image for service in services if service.is_built)):
        engine.docker("image", "rm", "--force", *names, check=False)


def _to_build(settings: Settings, services: Mapping[str, Service], ids: Mapping[str, str]) -> list[str]:
    """Services whose image is to be built, one of each image."""
    wanted, noted = sources(), _noted(settings)
    first = {service.image: name for name, service in reversed(list(services.items())) if service.is_built}
    return [name for image, name in first.items() if image not in ids or noted.get(image) != [ids[image], wanted]]


def _missing(services: Mapping[str, Service], ids: Mapping[str, str]) -> list[str]:
    """Services whose image is to be pulled."""
    return [name for name, service in services.items() if not service.is_built and service.image not in ids]


def _run(compose: Compose, log: Path, tell: Tell, doing: str, *arguments: str) -> None:
    process = compose.pipe(*arguments)
    services = compose.services()
    assert process.stdout  # noqa: S101  # it was asked for
    with log.open("a") as out, process.stdout as lines:
        for line in lines:
            out.write(line)
            if step := step_of(line, services):
                tell(*step)
    if process.wait():
        said = log.read_text()[-6000:]
        cause = causes.of_command(said, doing)
        raise PinlineError(f"{doing} failed: {cause.text}. The end of {log}:\n{said[-2500:].strip()}\nTry: {cause.do}")


def _note(settings: Settings, services: Mapping[str, Service]) -> None:
    ids = engine.image_ids(service.image for service in services.values() if service.is_built)
    wanted = sources()
    settings.pinline_local.mkdir(parents=True, exist_ok=True)
    stamps = {**_noted(settings), **{image: [found, wanted] for image, found in ids.items()}}
    (settings.pinline_local / _STAMPS).write_text(json.dumps(stamps, indent=2))


def _noted(settings: Settings) -> dict[str, list[str]]:
    try:
        found: dict[str, list[str]] = json.loads((settings.pinline_local / _STAMPS).read_text())
    except (OSError, ValueError):
        return {}
    return found
