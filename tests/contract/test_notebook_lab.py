"""JupyterLab with the environment of runs: who may come in, and what a kernel finds."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websocket import create_connection

from tests.fixtures.backends import free_port, wait_until
from tests.fixtures.http import HTTP, status_of
from tests.fixtures.lake import environment

pytestmark = pytest.mark.contract


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    port: int
    token: str

    def status(self, path: str, token: str) -> int:
        """The status that its API answers with."""
        return status_of(f"http://127.0.0.1:{self.port}{path}", {"Authorization": f"token {token}"}, timeout=10)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab as `make notebooks` starts it, without a browser."""
    folder, port = tmp_path_factory.mktemp("lab"), free_port()
    values = {"pinline_data": folder, "jupyter_port": port, "workspace_root": folder}
    command = [sys.executable, "-m", "workspace.notebook.lab", "--no-browser"]
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(values), stdout=log, stderr=log)
    try:
        started = Lab(port, _token(folder, process))
        # it says where it listens a moment before it does
        wait_until(
            lambda: started.status("/api/status", started.token) == 200,
            30,
            "JupyterLab answers",
            log=(folder / "lab.log").read_text,
        )
        yield started
    finally:
        process.terminate()
        process.wait(20)


def _token(folder: Path, process: "subprocess.Popen[bytes]") -> str:
    def files() -> list[Path]:
        assert process.poll() is None, (folder / "lab.log").read_text()
        return list((folder / "workspace/jupyter/runtime").glob("jpserver-*.json"))

    wait_until(lambda: bool(files()), 60, "JupyterLab has started")
    return str(json.loads(files()[0].read_text())["token"])


def test_it_listens_on_this_machine_and_wants_its_token(lab: Lab) -> None:
    assert lab.status("/api/contents", "wrong") == 403
    assert lab.status("/api/contents", lab.token) == 200


def test_its_kernels_find_what_a_run_finds(lab: Lab) -> None:
    headers = {"Authorization": f"token {lab.token}"}
    kernel = HTTP.post(f"http://127.0.0.1:{lab.port}/api/kernels", headers=headers, timeout=30).json()["id"]
    place = f"ws://127.0.0.1:{lab.port}/api/kernels/{kernel}/channels"
    socket = create_connection(place, header=[f"Authorization: token {lab.token}"], timeout=60)
    header = {"msg_id": "m1", "msg_type": "execute_request", "username": "", "session": "s1", "version": "5.3"}
    code = 'dbutils.widgets.text("name", "here")\nprint(dbutils.widgets.get("name"), display.__module__)'
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    socket.send(json.dumps({**message, "buffers": []}))
    assert _printed(socket) == "here workspace.notebook.display\n"
    socket.close()


def _printed(socket: Any) -> str:
    while True:
        message = json.loads(socket.recv())
        assert message["msg_type"] != "error", message["content"]
        if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == "m1":
            return str(message["content"]["text"])
