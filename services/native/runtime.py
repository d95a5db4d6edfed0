"""The stack as processes of this machine, under supervisor: what the commands need of a runtime."""

import subprocess
from collections.abc import Callable, Sequence

from native import doctor, layout, stack, supervise
from native import status as states
from native.services import SERVICES, choose
from pinline.errors import PinlineError, SettingsError
from pinline.runtime import Finding, ServiceStatus, Tell
from pinline.runtime_choice import Name
from pinline.settings import Settings

_OTHER_LOGS = ("supervisord", "seed")


class Native:
    """Implements `pinline.runtime.Runtime`."""

    name: Name = "native"

    def up(self, settings: Settings, only: Sequence[str], tell: Tell) -> None:
        """Start supervisord and the services, and seed an empty database."""
        stack.up(settings, choose(only), tell)

    def recover(self, settings: Settings, say: Callable[[str], None]) -> None:
        """Nothing: each of these services keeps what it was given."""

    def down(self, settings: Settings, tell: Tell) -> None:
        """Stop services before what they need, each with the time to flush."""
        stack.down(settings, SERVICES, tell)

    def status(self, settings: Settings) -> list[ServiceStatus]:
        """Ask supervisord, and each service."""
        return states.status(settings, SERVICES)

    def logs(self, settings: Settings, service: str, *, follow: bool, lines: int) -> int:
        """Print the end of the service's file, or of supervisord's or the seeding's."""
        if service not in (*SERVICES, *_OTHER_LOGS):
            raise SettingsError(f"no service {service!r}. Valid: {', '.join((*SERVICES, *_OTHER_LOGS))}")
        file = layout.log_file(settings, service)
        if not file.exists():
            raise PinlineError(f"{service} has not logged anything yet: {file} is not there. Try: make up")
        options = ["-F"] if follow else []
        return subprocess.run(["tail", "-n", str(lines), *options, file], check=False).returncode

    def examine(self, settings: Settings) -> list[Finding]:
        """Look at Java, MariaDB, the disk and `.env`, and at the sink."""
        return doctor.machine(settings)

    def stop(self, settings: Settings, service: str) -> bool:
        """Stop a service; tell whether it ran."""
        supervisor = supervise.connect(settings)
        program = supervisor.programs().get(service) if supervisor else None
        if supervisor is None or program is None or program.state == "STOPPED":
            return False
        supervisor.stop(service, wait=True)
        return True

    def start(self, settings: Settings, service: str) -> None:
        """Start a service."""
        supervise.Supervisor(settings).start(service)

    def reset(self, settings: Settings, tell: Tell) -> None:
        """Stop everything: all data is in files of PINLINE_DATA."""
        self.down(settings, tell)

    def remove(self, settings: Settings) -> None:
        """Nothing: all that was made is in files."""
