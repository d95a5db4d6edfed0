"""What has to hold before the stack starts; each problem is a text that names cause and next command."""

import platform
import shutil
import sys
from collections.abc import Iterable

import psutil

from native import envfile, leftovers
from native.services import Service
from pinline.settings import Settings, env_file

DISK_BYTES = 3_000_000_000


def problems(settings: Settings, services: Iterable[Service]) -> list[str]:
    """Return all that would keep `services` from starting."""
    return [*platform_problems(), *key_problems(), *disk_problems(settings), *port_problems(settings, services)]


def platform_problems(system: str = sys.platform) -> list[str]:
    """The embedded stack runs on Linux and WSL 2."""
    if system.startswith("linux"):
        return []
    name = {"darwin": "macOS", "win32": "Windows"}.get(system, system)
    return [f"the embedded stack runs on Linux and WSL 2, this is {name} ({platform.machine()}): use Docker here"]


def key_problems() -> list[str]:
    """Keys of `.env` that are nearly a setting's name: a typing error would be silent otherwise."""
    return [
        f"{env_file()}: {key} is not a setting, did you mean {meant}?"
        for key, meant in envfile.unknown_keys(env_file()).items()
        if meant
    ]


def disk_problems(settings: Settings, needed: int = DISK_BYTES) -> list[str]:
    """Free space where the data goes."""
    folder = settings.pinline_data
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free >= needed:
        return []
    found = f"{free / 1e9:.1f} GB are free in {folder} and {needed / 1e9:.0f} GB are needed"
    return [f"{found}: free some, or set PINLINE_DATA in .env to a folder on another disk"]


def port_problems(settings: Settings, services: Iterable[Service]) -> list[str]:
    """Ports that somebody else listens on, with who it is and which setting moves ours."""
    wanted = [(name, place) for service in services for name, place in service.ports(settings).items()]
    takers = _listeners()
    own = {process.pid for process in leftovers.find(settings)}
    found, seen = [], dict[int, str]()
    for setting, (host, port) in wanted:
        if port in seen:
            found.append(
                f"{setting} and {seen[port]} name the same port {port}: give one of them another in {env_file()}"
            )
        seen.setdefault(port, setting)
        if port in takers and takers[port] not in own:
            found.append(
                f"port {port} ({setting}) on {host} is taken by {_who(takers[port])}: stop that, "
                f"or set {setting} in {env_file()} to a free port"
            )
    return found


def listener(port: int) -> str:
    """Return who listens on a port. Raises psutil.Error where the system doesn't tell."""
    return _who(_listeners().get(port))


def _listeners() -> dict[int, int | None]:
    """Ports of this machine with the pid that listens, None where the system doesn't tell."""
    connections = psutil.net_connections(kind="tcp")
    return {entry.laddr.port: entry.pid for entry in connections if entry.status == psutil.CONN_LISTEN and entry.laddr}


def _who(pid: int | None) -> str:
    if pid is None:
        return "a process of another user (`sudo ss -ltnp` names it)"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {pid}: {' '.join(process.cmdline())[:80]})"
    except psutil.Error:
        return f"pid {pid}"
