"""What is checked before the stack starts, and what the texts say."""

import os
import socket
from typing import Any

import pytest

from native import preflight
from native.services import SERVICES
from pinline.settings import Settings

pytestmark = pytest.mark.unit


def test_a_taken_port_is_named_with_its_setting_and_the_process_that_has_it(make_settings: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings: Settings = make_settings(rds_port=taken.getsockname()[1])
        (text,) = preflight.port_problems(settings, [SERVICES["mysql"]])
    assert f"port {settings.rds_port} (RDS_PORT)" in text
    assert f"pid {os.getpid()}" in text
    assert "set RDS_PORT in" in text


def test_two_settings_with_one_port_are_both_named(make_settings: Any) -> None:
    settings = make_settings(kafka_bootstrap_servers="127.0.0.1:9", kafka_controller_port=9)
    texts = preflight.port_problems(settings, [SERVICES["kafka"]])
    assert any("KAFKA_CONTROLLER_PORT and KAFKA_BOOTSTRAP_SERVERS name the same port 9" in text for text in texts)


def test_a_full_disk_is_told_with_the_setting_that_moves_the_data(make_settings: Any) -> None:
    (text,) = preflight.disk_problems(make_settings(), needed=1 << 62)
    assert "PINLINE_DATA" in text


def test_macos_and_windows_are_sent_to_docker() -> None:
    assert "Docker" in preflight.platform_problems("darwin")[0]
    assert "Windows" in preflight.platform_problems("win32")[0]
    assert preflight.platform_problems("linux") == []
