"""Setting up: stamps, and what a failure says. The script is loaded by path: it runs before there is a package."""

import importlib.util
import platform
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pinline import java
from pinline.errors import PinlineError
from pinline.settings import ROOT

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    spec = importlib.util.spec_from_file_location("native_setup", ROOT / "services" / "native" / "setup.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_stamp_holds_until_what_it_was_made_from_changes(setup: ModuleType, tmp_path: Path) -> None:
    requirements = tmp_path / "native.txt"
    requirements.write_text("a==1\n")
    stamps = setup.Stamps(tmp_path / "stamps.json")
    assert not stamps.holds("python", setup.digest(requirements))
    stamps.set("python", setup.digest(requirements))
    assert setup.Stamps(tmp_path / "stamps.json").holds("python", setup.digest(requirements))
    requirements.write_text("a==2\n")
    assert not stamps.holds("python", setup.digest(requirements))


def test_a_torn_stamp_file_is_no_stamp(setup: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "stamps.json").write_text('{"python": "ab')
    stamps = setup.Stamps(tmp_path / "stamps.json")
    assert not stamps.holds("python", "ab")
    stamps.set("python", "abc")
    assert stamps.holds("python", "abc")


def test_a_failed_command_is_told_with_its_output_and_the_next_step(setup: ModuleType) -> None:
    with pytest.raises(PinlineError, match=r"(?s)asking failed \(exit code 3\).*no network.*make setup"):
        setup.run([sys.executable, "-c", "print('no network'); raise SystemExit(3)"], "asking")


def test_a_browser_that_only_an_administrator_can_install_is_asked_for(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PinlineError, match=r"none of chromium, .* is on PATH. Install one, such as: sudo apt-get"):
        setup.ensure_chromium(print)


def test_classes_that_can_not_be_kept_are_told_and_not_tried_at_each_start(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho this Java has no base archive\nexit 1\n")
    python.chmod(0o700)
    monkeypatch.setattr(setup, "VENV", tmp_path)
    told: list[str] = []
    stamps = setup.Stamps(tmp_path / "stamps.json")
    for _ in range(2):
        setup.archive_classes(tmp_path, stamps, told.append)
    assert len(told) == 2
    assert "no base archive" in told[1]


def test_java_is_given_an_archive_only_where_there_is_one(tmp_path: Path) -> None:
    archive = tmp_path / "spark.jsa"
    assert java.archive_options(archive) == ()
    archive.touch()
    assert f"-XX:SharedArchiveFile={archive}" in java.archive_options(archive)


def test_packages_for_tests_serve_everything_and_those_beside_containers_only_that(
    setup: ModuleType, tmp_path: Path
) -> None:
    version = platform.python_version()
    stamps = setup.Stamps(tmp_path / "stamps.json")

    def served(made_for: str) -> list[str]:
        stamps.set("python", f"{made_for} {setup._python_digest(made_for, version)}")
        return [extra for extra in ("host", "native", "dev") if setup._has_packages(stamps, extra, version)]

    assert served("dev") == ["host", "native", "dev"]
    assert served("native") == ["host", "native"]
    assert served("host") == ["host"]


def test_a_package_is_left_out_with_its_hashes(setup: ModuleType) -> None:
    pinned = (ROOT / "requirements" / "notebooks.txt").read_text()
    found = setup.without_package(pinned, "pyspark")
    assert "pyspark==" not in found
    before = [line for line in pinned.splitlines() if line and not line[0].isspace()]
    assert [line for line in found.splitlines() if line and not line[0].isspace()] == [
        line for line in before if not line.startswith("pyspark==")
    ]
    assert len(pinned) - len(found) < 400


@pytest.mark.parametrize(("runtime", "extra"), [("docker", "host"), ("native", "native")])
def test_what_is_set_up_is_what_the_runtime_needs(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, extra: str
) -> None:
    monkeypatch.setenv("RUNTIME", runtime)
    assert setup.wanted_extra(tmp_path) == extra
