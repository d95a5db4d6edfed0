"""Our images, as their Dockerfiles have them: what no engine is needed to see."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from dotenv import dotenv_values

from pinline.airflow import USER
from pinline.settings import ROOT

pytestmark = pytest.mark.unit

DOCKERFILES = [
    *sorted((ROOT / "services").glob("*/Dockerfile")),
    *(ROOT / folder / "Dockerfile" for folder in ("spark", "airflow", "emulator")),
]


@pytest.fixture(params=DOCKERFILES, ids=lambda file: file.parent.name)
def dockerfile(request: pytest.FixtureRequest) -> str:
    """A Dockerfile's text, continued lines joined."""
    file: Path = request.param
    return file.read_text().replace("\\\n", " ")


def test_an_image_is_of_the_projects_version(dockerfile: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f'org.opencontainers.image.version="{project["version"]}"' in dockerfile
    assert f'org.opencontainers.image.licenses="{project["license"]}"' in dockerfile


def test_an_image_runs_as_a_user_without_rights_and_gets_signals_itself(dockerfile: str) -> None:
    final = dockerfile.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", final, re.M) == ["1000:1000"]
    assert re.search(r'^ENTRYPOINT \["python", ', final, re.M), "a shell would keep SIGTERM from the service"


def test_an_image_is_built_of_nothing_but_pinned_packages_and_what_the_context_has(dockerfile: str) -> None:
    assert not re.search(r"^ADD |curl|wget|apt-get", dockerfile, re.M)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(fnmatch(source, rule) or source.startswith(f"{rule}/") for rule in allowed), source


def test_the_context_leaves_out_what_is_this_machines_alone() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert rules.index("*") < min(number for number, rule in enumerate(rules) if rule.startswith("!"))
    assert "**/.env" in rules


def test_airflows_user_is_the_one_that_make_dag_logs_in_as() -> None:
    shared = dotenv_values(ROOT / "airflow" / "airflow.env", interpolate=False)
    assert shared["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == f"{USER}:admin"


def test_no_setting_of_airflows_stands_in_both_files() -> None:
    shared, embedded = (
        dotenv_values(ROOT / "airflow" / name, interpolate=False) for name in ("airflow.env", "embedded.env")
    )
    assert not shared.keys() & embedded.keys()
