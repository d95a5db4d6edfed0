"""supervisord: its configuration, made from launches, and the conversation with it over its socket."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Error, Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from native import layout
from native.launch import Launch
from pinline.settings import ROOT, Settings

ALREADY_STARTED = 60
NOT_RUNNING = 70
"""Fault codes of supervisor's XML-RPC API."""


@dataclass(frozen=True)
class Program:
    """What supervisord knows of one service."""

    name: str
    state: str
    """Supervisor's word: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL."""
    pid: int
    start: int
    """Seconds since the epoch."""
    description: str


class Supervisor:
    """A running supervisord. Every method raises OSError or xmlrpc's Error when it isn't there."""

    def __init__(self, settings: Settings) -> None:
        transport = SupervisorTransport(None, None, f"unix://{socket_file(settings)}")
        self._rpc: Any = ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def pid(self) -> int:
        """Its process id."""
        return int(self._rpc.getPID())

    def programs(self) -> dict[str, Program]:
        """Its services by name."""
        return {
            info["name"]: Program(
                info["name"], info["statename"], info["pid"], info["start"], info["spawnerr"] or info["description"]
            )
            for info in self._rpc.getAllProcessInfo()
        }

    def start(self, name: str) -> None:
        """Start a service; don't wait for it."""
        try:
            self._rpc.startProcess(name, False)
        except Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise

    def stop(self, name: str, *, wait: bool) -> None:
        """Stop a service."""
        try:
            self._rpc.stopProcess(name, wait)
        except Fault as fault:
            if fault.faultCode != NOT_RUNNING:
                raise

    def update(self) -> list[str]:
        """Take over a changed configuration; return the services that are new or changed, all of them stopped now."""
        added, changed, removed = self._rpc.reloadConfig()[0]
        for name in (*changed, *removed):
            self.stop(name, wait=True)
            self._rpc.removeProcessGroup(name)
        for name in (*added, *changed):
            self._rpc.addProcessGroup(name)
        return [*added, *changed]

    def shutdown(self) -> None:
        """End it. Services that still run are stopped first."""
        self._rpc.shutdown()


def connect(settings: Settings) -> Supervisor | None:
    """Return the stack's supervisord, or None if none answers."""
    supervisor = Supervisor(settings)
    try:
        supervisor.pid()
    except (OSError, Error):
        return None
    return supervisor


def socket_file(settings: Settings) -> Path:
    """Return the socket that supervisord listens on."""
    return layout.run_dir(settings) / "supervisor.sock"


def config_file(settings: Settings) -> Path:
    """Return supervisord's configuration file."""
    return layout.run_dir(settings) / "supervisord.conf"


def command(settings: Settings) -> list[str]:
    """Return the command that starts supervisord in the background."""
    return [sys.executable, "-m", "supervisor.supervisord", "-c", str(config_file(settings))]


def config(
    settings: Settings, launches: Mapping[str, Launch], stop_seconds: Mapping[str, int], digests: Mapping[str, str]
) -> str:
    """Return supervisord's configuration.

    A digest stands in its service's environment, so that a change of what it reads is a change of the service.
    """
    run = layout.run_dir(settings)
    sections = [
        _section(
            "supervisord",
            logfile=layout.log_file(settings, "supervisord"),
            logfile_maxbytes="5MB",
            logfile_backups=1,
            pidfile=run / "supervisord.pid",
            childlogdir=layout.log_file(settings, "supervisord").parent,
            directory=ROOT,
            nocleanup="true",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        ),
        _section("unix_http_server", file=socket_file(settings), chmod="0700"),
        _section(
            "rpcinterface:supervisor",
            **{"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]
    for name, launch in launches.items():
        environment = {**launch.environment, "PINLINE_SERVICE": name, "PINLINE_CONFIG": digests[name]}
        sections.append(
            _section(
                f"program:{name}",
                command=shlex.join(launch.command),
                environment=",".join(f'{key}="{value}"' for key, value in environment.items()),
                autostart="false",
                autorestart="true",
                startsecs=1,
                startretries=20,
                stopsignal="TERM",
                stopwaitsecs=stop_seconds[name],
                killasgroup="true",
                redirect_stderr="true",
                stdout_logfile=layout.log_file(settings, name),
                stdout_logfile_maxbytes="10MB",
                stdout_logfile_backups=2,
            )
        )
    return "\n".join(sections)


def _section(name: str, **values: object) -> str:
    lines = [f"{key}={str(value).replace('%', '%%')}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, ""])
