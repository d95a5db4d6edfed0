"""Docker Compose v2: the machine's, else one built from its Go module, once, into the cache folder."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pinline.errors import PinlineError
from tests.compose import cache

VERSION = "2.40.3"
_MODULE = "github.com/docker/compose/v2"


def ensure(environment: Mapping[str, str], tell: Callable[[str], None]) -> dict[str, str]:
    """Return what has to be added for `docker compose` to work: nothing, or a DOCKER_CONFIG with the built plugin."""
    if _works(environment):
        return {}
    config = cache.folder() / "compose" / VERSION
    found = {"DOCKER_CONFIG": str(config)}
    with cache.alone("compose"):
        if not _works({**environment, **found}):
            tell(f"no Docker Compose here: building {VERSION} from its Go module, which takes minutes, once")
            _build(config / "cli-plugins" / "docker-compose")
    if not _works({**environment, **found}):
        raise PinlineError(f"the Docker Compose that was built does not run. Remove {config} and try again")
    return found


def _works(environment: Mapping[str, str]) -> bool:
    return cache.answers(["docker", "compose", "version"], environment)


def _build(target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise PinlineError(
            "`docker compose` does not work, and there is no Go to build it with: install the Compose plugin "
            f"(docker-compose-plugin, docker-compose-v2) or Go, then try again. Built would be {_MODULE}@v{VERSION}"
        )
    work = target.parents[1] / "build"
    shutil.rmtree(work, ignore_errors=True)
    # the modules that it is built from are 1.5 GB and not needed again: they go with the folder
    environment = {
        **os.environ,
        "GOMODCACHE": str(work / "modules"),
        "GOCACHE": str(work / "cache"),
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
        "CGO_ENABLED": "0",
    }
    work.mkdir(parents=True)
    described = cache.run(
        [go, "mod", "download", "-json", f"{_MODULE}@v{VERSION}"], "downloading Compose", environment, work
    )
    source = work / "source"
    shutil.copytree(json.loads(described)["Dir"], source)
    part = work / "docker-compose"
    version = f"-s -w -X {_MODULE}/internal.Version=v{VERSION}"
    cache.run(
        [go, "build", "-trimpath", "-ldflags", version, "-o", part, "./cmd"], "building Compose", environment, source
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    part.replace(target)
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    print(ensure(os.environ, lambda text: print(text, file=sys.stderr)))
