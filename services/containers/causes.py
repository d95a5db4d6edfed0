"""Why something in Docker failed, in words: from exit codes and from what Docker, Compose and the service said."""

import re
from dataclasses import dataclass

RUN_WITHOUT = "or run the stack without Docker: RUNTIME=native"


@dataclass(frozen=True)
class Cause:
    """What is likely to be wrong, and what to type."""

    text: str
    do: str


@dataclass(frozen=True)
class Failure:
    """What is known of a container that doesn't work."""

    service: str
    exit_code: int = 0
    was_out_of_memory: bool = False
    memory_limit: int | None = None
    """Bytes."""
    error: str = ""
    """Of the engine, when it could not start the container."""
    health_output: str = ""
    log: str = ""
    said: str = ""
    """What `docker compose up` said."""


_KILLED = 137
_SAYS_KILLED = re.compile(rf"\bKilled\b|exit code {_KILLED}")
"""A shell or a parent says so of a process that was killed beside it."""
_HEAPS = {"spark": "SPARK_DRIVER_MEMORY", "stream": "STREAM_DRIVER_MEMORY"}


def of(failure: Failure) -> Cause:
    """Return the likely cause of a failure, the most certain first."""
    logs = f"make logs SERVICE={failure.service}"
    engine_said = f"{failure.error}\n{failure.said}"
    if found := _port(engine_said):
        return found
    if found := _common(f"{engine_said}\n{failure.log}\n{failure.health_output}"):
        return found
    if failure.was_out_of_memory or failure.exit_code == _KILLED or _SAYS_KILLED.search(failure.log):
        limit = f" of {failure.memory_limit / 1e6:,.0f} MB" if failure.memory_limit else ""
        heap = f" (or lower {_HEAPS[failure.service]} in .env)" if failure.service in _HEAPS else ""
        text = f"it was killed (exit code {_KILLED}), most likely for memory: it went over its limit{limit}"
        return Cause(text, f"raise its mem_limit in compose.yaml{heap}, or give Docker more memory. Its log: {logs}")
    if failure.exit_code in (126, 127):
        return Cause(
            f"its image lacks the program that it starts (exit code {failure.exit_code})", f"make clean, or: {logs}"
        )
    if failure.error:
        return Cause(f"Docker could not start it: {_line(failure.error)}", logs)
    if failure.exit_code:
        return Cause(f"it ended with exit code {failure.exit_code}", logs)
    if failure.health_output:
        return Cause(f"its health check says: {_line(failure.health_output)}", logs)
    return Cause("it is not ready, and says nothing of why", logs)


def of_command(said: str, doing: str) -> Cause:
    """Return the likely cause of the failure of a `docker` command that is about no container yet."""
    return (
        _port(said)
        or image(said)
        or _common(said)
        or Cause(f"{doing} ended with an error", f"what Docker said is above; {RUN_WITHOUT}")
    )


def image(said: str) -> Cause | None:
    """Return why an image can't be had, None if `said` doesn't tell of such."""
    if re.search(r"x509|certificate signed by unknown authority|CERTIFICATE_VERIFY_FAILED", said):
        return Cause(
            "an image can't be had: this network has a certificate of its own",
            f"set CA_BUNDLE in .env to the file of its certificates, and let Docker trust it; {RUN_WITHOUT}",
        )
    if re.search(r"toomanyrequests|rate limit", said):
        return Cause("an image can't be pulled: the registry's limit is reached", f"docker login, {RUN_WITHOUT}")
    if re.search(r"no matching manifest|exec format error", said):
        return Cause("an image is not made for this machine's processor", RUN_WITHOUT.removeprefix("or "))
    if re.search(
        r"pull access denied|failed to resolve (source metadata|reference)|manifest unknown|failed to do request"
        r"|no such host|i/o timeout|connection refused|TLS handshake|Temporary failure in name resolution"
        r"|Client\.Timeout|network is unreachable|registry-1\.docker\.io|No matching distribution"
        r"|Could not find a version",
        said,
        re.IGNORECASE,
    ):
        return Cause(
            "an image can neither be pulled nor built: the registry, or a package index, doesn't answer",
            f"look at the network and at Docker's proxy and mirror (docker info), then make up again; {RUN_WITHOUT}",
        )
    return None


def _port(said: str) -> Cause | None:
    found = re.search(r":(\d+)[^\n]*(?:port is already allocated|address already in use)", said)
    if found is None:
        return None
    return Cause(
        f"port {found[1]} is taken", "stop what has it (`docker ps`, `sudo ss -ltnp`), or set another port in .env"
    )


def _common(said: str) -> Cause | None:
    if found := re.search(r"required variable (\w+) is missing", said):
        return Cause(f"{found[1]} is not set", f"put the line {found[1]}= into .env: `make up` fills it in")
    if re.search(r"no space left on device", said, re.IGNORECASE):
        return Cause("Docker's disk is full", "docker system df, and docker system prune for what no container uses")
    if re.search(r"is not shared from the host|Mounts denied", said):
        return Cause("Docker may not see the checkout", "Docker Desktop: Settings, Resources, File sharing")
    if re.search(r"permission denied while trying to connect", said, re.IGNORECASE):
        return Cause("this user may not use Docker", "sudo usermod -aG docker $USER, and log in again")
    if re.search(r"Cannot connect to the Docker daemon", said):
        return Cause("Docker doesn't answer", f"start it; {RUN_WITHOUT}")
    return None


def _line(text: str) -> str:
    return " ".join(text.split())[:400]
