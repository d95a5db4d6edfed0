"""What the stack's commands need of a runtime. `native` (processes of this machine) and `containers` (Docker Compose)
are the two; `pinline.runtime_choice` says which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pinline.runtime_choice import Name
from pinline.settings import Settings

Tell = Callable[[str, str], None]
"""Told of progress: the name of a service or step, and its state in a word or two (`ready` at its end)."""


@dataclass(frozen=True)
class ServiceStatus:
    """One service, as `pinline status` shows it."""

    service: str
    state: str
    """`ready` (its check passes), `starting` (it runs, its check doesn't pass yet), `failing` (it ends again and
    again, or says what it fails of), `stopped`."""
    address: str
    pid: int | None
    """None in Docker."""
    memory_bytes: int | None
    """Resident memory of the process and its children; in Docker what its containers use."""
    since: str | None
    """ISO 8601, UTC."""
    reason: str | None
    """Why it is not ready."""
    detail: str | None = None
    """What else there is to know, such as how far behind it is."""
    container: str | None = None
    """The container's id, in Docker."""


@dataclass(frozen=True)
class Finding:
    """One line of `pinline doctor`."""

    system: str
    address: str
    setting: str
    answers: bool
    detail: str


class Runtime(Protocol):
    """A way to run the stack's services. Each method raises PinlineError, whose text says what to do."""

    @property
    def name(self) -> Name:
        """How RUNTIME calls it."""

    def up(self, settings: Settings, only: Sequence[str], tell: Tell) -> None:
        """Start the named services, all if none is named, and return when everything answers."""

    def recover(self, settings: Settings, say: Callable[[str], None]) -> None:
        """Bring back what services have forgotten since the stack ran last, and say what can't be brought back."""

    def down(self, settings: Settings, tell: Tell) -> None:
        """Stop everything; data stays."""

    def status(self, settings: Settings) -> list[ServiceStatus]:
        """Return every service's state."""

    def logs(self, settings: Settings, service: str, *, follow: bool, lines: int) -> int:
        """Print the end of a log; return the exit code of what printed it."""

    def examine(self, settings: Settings) -> list[Finding]:
        """Look at what the runtime itself takes from this machine."""

    def stop(self, settings: Settings, service: str) -> bool:
        """Stop a service; tell whether it ran."""

    def start(self, settings: Settings, service: str) -> None:
        """Start a service that was stopped, without waiting for it."""

    def reset(self, settings: Settings, tell: Tell) -> None:
        """Stop everything and delete the data that the runtime keeps itself."""

    def remove(self, settings: Settings) -> None:
        """Delete what the runtime made besides data, after a reset. Downloads are not its own."""
