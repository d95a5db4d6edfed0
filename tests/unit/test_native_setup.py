"""Setting up: stamps, and what a failure says. The script is loaded by path: it runs before there is a package."""

import importlib.util
import platform
import sys
from pathlib import Path
from types import ModuleType

import pytest

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


@pytest.mark.parametrize(("runtime", "extra"), [("docker", "host"), ("native", "native")])
def test_what_is_set_up_is_what_the_runtime_needs(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, extra: str
) -> None:
    monkeypatch.setenv("RUNTIME", runtime)
    assert setup.wanted_extra(tmp_path) == extra
