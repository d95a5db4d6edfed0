"""The stack in containers: what the commands need of a runtime."""

from collections.abc import Callable, Sequence

from containers import engine, forgotten, images, preflight, stack
from containers import status as states
from containers.compose import Compose, of_service
from native import doctor
from pinline.errors import PinlineError, SettingsError
from pinline.runtime import Finding, ServiceStatus, Tell
from pinline.runtime_choice import Name
from pinline.settings import Settings

_BUILD_LOG = "build"


class Containers:
    """Implements `pinline.runtime.Runtime`."""

    name: Name = "docker"

    def up(self, settings: Settings, only: Sequence[str], tell: Tell) -> None:
        """Build or pull what is missing, and start the containers."""
        stack.up(settings, only, tell)

    def recover(self, settings: Settings, say: Callable[[str], None]) -> None:
        """Make up for what LocalStack has forgotten."""
        forgotten.recover(settings, Compose(settings).services(), say)

    def down(self, settings: Settings, tell: Tell) -> None:
        """Stop and remove the containers; volumes stay."""
        stack.down(settings, tell)

    def status(self, settings: Settings) -> list[ServiceStatus]:
        """Ask Docker, and the streaming job."""
        return states.status(settings)

    def logs(self, settings: Settings, service: str, *, follow: bool, lines: int) -> int:
        """Print the end of a service's log, or of the last build's."""
        if service == _BUILD_LOG:
            file = images.log_file(settings)
            if not file.exists():
                raise PinlineError("nothing was built yet. Try: make up")
            print("\n".join(file.read_text().splitlines()[-lines:]))
            return 0
        compose = Compose(settings)
        services = compose.services()
        name = service if service in services else f"{service}-localstack"
        if name not in services:
            raise SettingsError(f"no service {service!r}. Valid: {', '.join(services)}, {_BUILD_LOG}")
        if not of_service(compose.containers(), name):
            raise PinlineError(f"{name} has not logged anything yet: it has no container. Try: make up")
        options = ["--follow"] if follow else []
        return compose.show("logs", "--no-log-prefix", "--tail", str(lines), *options, name)

    def examine(self, settings: Settings) -> list[Finding]:
        """Look at the engine, its memory and disk, at `.env`, and at the containers that nothing else asks."""
        try:
            docker = engine.engine()
        except PinlineError as error:
            return [Finding("Docker", "", "RUNTIME", answers=False, detail=str(error))]
        memory = f"{docker.memory_bytes / 1e9:.1f} GB"
        unready = [one.service for one in states.status(settings) if one.state != "ready"]
        return [
            Finding("Docker", f"engine {docker.version}", "RUNTIME", answers=True, detail="answers"),
            _found("memory", memory, "RUNTIME", preflight.memory_problems(docker)),
            _found("disk", str(docker.root), "", preflight.disk_problems(docker.root, preflight.DISK_BYTES)),
            doctor.env_finding(),
            _found("containers", "", "", [f"not ready: {', '.join(unready)}"] if unready else []),
        ]

    def stop(self, settings: Settings, service: str) -> bool:
        """Stop a service's container; tell whether it ran."""
        compose = Compose(settings)
        states = {container.state for container in of_service(compose.containers(), service)}
        if not states & {"running", "restarting"}:
            return False
        compose.run(f"stopping {service}", "stop", service)
        return True

    def start(self, settings: Settings, service: str) -> None:
        """Start a service's container."""
        Compose(settings).run(f"starting {service}", "start", service)

    def reset(self, settings: Settings, tell: Tell) -> None:
        """Remove the containers and their volumes."""
        stack.down(settings, tell, volumes=True)

    def remove(self, settings: Settings) -> None:
        """Remove the images that were built."""
        images.remove(Compose(settings).services(of_all_profiles=True).values())


def _found(system: str, place: str, setting: str, problems: list[str]) -> Finding:
    return Finding(system, place, setting, not problems, problems[0] if problems else "found")
