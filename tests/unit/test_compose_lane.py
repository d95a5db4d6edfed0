"""The Compose lane's preparation, where it decides something: what is built again, where its cache may be."""

import os
import shutil
import sys
from pathlib import Path

import psutil
import pytest

from pinline.errors import PinlineError, SettingsError
from tests.compose import cache, engine, standins

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(standins.FOLDER / "haproxy", tmp_path / "haproxy")
    monkeypatch.setattr(standins, "FOLDER", tmp_path)
    return tmp_path / "haproxy"


def test_a_standin_is_another_one_when_a_file_changes_its_content_its_name_or_its_mode(folder: Path) -> None:
    digests = {standins.description("haproxy", "base")}
    (folder / "entrypoint.sh").chmod(0o644)
    digests.add(standins.description("haproxy", "base"))
    (folder / "entrypoint.sh").write_text("#!/bin/sh\n")
    digests.add(standins.description("haproxy", "base"))
    (folder / "entrypoint.sh").rename(folder / "start.sh")
    digests.add(standins.description("haproxy", "base"))
    digests.add(standins.description("haproxy", "another base"))
    assert len(digests) == 5


def test_a_standin_is_the_same_when_nothing_changed(folder: Path) -> None:
    before = standins.description("haproxy", "base")
    (folder / "Dockerfile").touch()
    assert standins.description("haproxy", "base") == before


def test_each_image_of_the_list_has_a_folder_and_a_line_in_the_readme() -> None:
    readme = (standins.FOLDER / "README.md").read_text()
    for name, image in standins.IMAGES.items():
        assert (standins.FOLDER / name / "Dockerfile").is_file()
        assert f"| {image} |" in readme


def test_a_cache_inside_the_repository_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINLINE_CACHE", str(cache.ROOT / "tests" / "cache"))
    with pytest.raises(SettingsError, match="inside the repository"):
        cache.folder()


def test_certificates_come_from_the_setting_before_the_environments_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, special = tmp_path / "usual.pem", tmp_path / "special.pem"
    usual.touch()
    special.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(usual))
    monkeypatch.delenv("CA_BUNDLE", raising=False)
    assert cache.ca_bundle() == usual
    monkeypatch.setenv("CA_BUNDLE", str(special))
    assert cache.ca_bundle() == special
    monkeypatch.setenv("CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(SettingsError, match=r"none\.pem"):
        cache.ca_bundle()


def test_without_any_certificates_builds_are_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("CA_BUNDLE", raising=False)
    assert cache.ca_bundle() is None


def test_another_program_under_the_number_of_an_old_engine_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "docker.pid").write_text(str(os.getpid()))
    own = engine.Own(tmp_path)
    assert not own.runs
    own.stop()
    assert psutil.pid_exists(os.getpid())


def test_what_differs_from_this_shell_is_exported_quoted() -> None:
    changed = {**os.environ, "DOCKER_HOST": "unix:///a folder/docker.sock"}
    assert engine.exports(changed) == "export DOCKER_HOST='unix:///a folder/docker.sock'\n"


def test_a_failed_command_says_what_was_being_done_and_what_it_printed() -> None:
    with pytest.raises(PinlineError, match=r"(?s)counting to three failed \(exit code 3\).*one, two"):
        cache.run([sys.executable, "-c", "print('one, two'); raise SystemExit(3)"], "counting to three")
