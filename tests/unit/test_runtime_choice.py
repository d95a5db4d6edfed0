"""Which runtime has the stack, and whose data it is."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from pinline import runtime_choice
from pinline.errors import SettingsError, StateError
from pinline.runtime_choice import Look, choose
from tests.fixtures.backends import MakeSettings

pytestmark = pytest.mark.unit

NO_DOCKER = "There is no Docker here"


def look(**found: Any) -> Look:
    """What is found; nothing runs, nothing is kept and Docker answers, unless said."""
    values = {"native_runs": False, "docker_runs": False, "owner": None, "docker_problem": None, **found}
    return Look(**{name: lambda value=value: value for name, value in values.items()})


def unasked(*names: str, **found: Any) -> Look:
    """The same, where asking for one of `names` is a mistake."""

    def refuse() -> Any:
        raise AssertionError("this need not be asked")

    known = look(**found)
    return Look(**{name: refuse if name in names else getattr(known, name) for name in Look.__dataclass_fields__})


@pytest.mark.parametrize("name", ["docker", "native"])
def test_what_is_set_holds_and_nothing_is_asked(name: str) -> None:
    choice = choose(name, unasked("native_runs", "docker_runs", "owner", "docker_problem"))
    assert choice.name == name
    assert f"RUNTIME={name}" in choice.why


def test_a_running_native_stack_decides_before_docker_is_asked() -> None:
    assert choose("auto", unasked("docker_runs", "docker_problem", native_runs=True)).name == "native"


def test_running_containers_decide() -> None:
    assert choose("auto", look(docker_runs=True, owner="native")).name == "docker"


def test_kept_data_decides_while_nothing_runs() -> None:
    assert choose("auto", look(owner="native")).name == "native"
    assert choose("auto", look(owner="docker", docker_problem=NO_DOCKER)).name == "docker"


def test_docker_that_answers_is_taken_and_said_with_the_way_out() -> None:
    choice = choose("auto", look())
    assert choice.name == "docker"
    assert "RUNTIME=native" in choice.why


def test_without_docker_the_reason_is_said() -> None:
    choice = choose("auto", look(docker_problem=NO_DOCKER))
    assert choice.name == "native"
    assert NO_DOCKER in choice.why


def test_a_wrong_value_is_named_with_the_right_ones() -> None:
    with pytest.raises(SettingsError, match=r"'podman': valid are auto, docker, native"):
        choose("podman", look())


def test_a_setting_is_read_as_everything_else_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    assert runtime_choice.setting("RUNTIME", "auto", file) == "auto"
    file.write_text("# RUNTIME=docker\nRUNTIME=auto\nexport RUNTIME = 'native'  # for now\nRUNTIMES=docker\n")
    assert runtime_choice.setting("RUNTIME", "auto", file) == "native"
    monkeypatch.setenv("RUNTIME", "docker")
    assert runtime_choice.setting("RUNTIME", "auto", file) == "docker"
    monkeypatch.setenv("RUNTIME", "")
    assert runtime_choice.setting("RUNTIME", "auto", file) == "native"


def test_a_supervisor_that_listens_is_a_running_stack(tmp_path: Path) -> None:
    assert not runtime_choice.native_runs(tmp_path)
    run = runtime_choice.run_dir(tmp_path)
    run.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(run / "supervisor.sock"))
        assert not runtime_choice.native_runs(tmp_path), "its socket is left, and nobody listens"
        server.listen()
        assert runtime_choice.native_runs(tmp_path)


def test_data_of_one_runtime_is_refused_to_the_other_until_it_is_given_up(tmp_path: Path) -> None:
    data = tmp_path / "data"
    runtime_choice.take(data, "native")
    runtime_choice.take(data, "native")
    with pytest.raises(StateError, match=r"RUNTIME=native.*make reset RUNTIME=native.*PINLINE_DATA"):
        runtime_choice.take(data, "docker")
    runtime_choice.release(data)
    runtime_choice.take(data, "docker")
    assert runtime_choice.owner(data) == "docker"


def test_data_from_before_there_was_a_choice_is_native(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "cluster.id").write_text("x")
    assert runtime_choice.owner(tmp_path) == "native"


def test_a_docker_that_is_there_and_does_not_answer_is_told_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\n[ "$1" = compose ] || { echo "ERROR: Cannot connect to the Docker daemon." >&2; exit 1; }\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")
    assert runtime_choice.docker_problem() == "Docker doesn't answer (Cannot connect to the Docker daemon)"
    docker.write_text('#!/bin/sh\n[ "$1" = compose ] && exit 1; echo 20.10\n')
    assert runtime_choice.docker_problem() == "Docker has no Compose plugin"
    docker.write_text("#!/bin/sh\necho 20.10\n")
    assert runtime_choice.docker_problem() is None
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert runtime_choice.docker_problem() == NO_DOCKER


def test_setting_up_and_the_commands_mean_the_same_folder(make_settings: MakeSettings) -> None:
    from native import layout

    settings = make_settings()
    assert layout.run_dir(settings) == runtime_choice.run_dir(settings.pinline_data)
