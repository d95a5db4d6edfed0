"""What runs in containers, where, and since when."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from containers import engine
from containers.compose import Compose, Container, Service, local_address, of_service
from containers.engine import Inspected
from containers.stack import progress
from native import ready
from pinline.runtime import ServiceStatus
from pinline.settings import Settings

_MOST_RESTARTS = 3
"""A service that was started again so often and isn't well is failing, not starting."""
_URLS = {
    "s3": "AWS_ENDPOINT_URL_S3",
    "kinesis": "AWS_ENDPOINT_URL_KINESIS",
    "kinesis-localstack": "AWS_ENDPOINT_URL_KINESIS",
    "api": "API_INVOKE_URL",
    "spark": "SPARK_REMOTE",
    "workspace": "DATABRICKS_HOST",
}


def status(settings: Settings) -> list[ServiceStatus]:
    """Return the state of each service of the stack. Raises PinlineError when Docker doesn't answer."""
    compose = Compose(settings)
    with ThreadPoolExecutor(3) as pool:
        model, there = pool.submit(compose.services), pool.submit(compose.containers)
        services, found = model.result(), there.result()
        ids = [container.id for container in found]
        running = [container.id for container in found if container.state == "running"]
        inspected, memory = pool.submit(engine.inspect, ids), pool.submit(engine.memory, running)
        lines = [
            line(service, address(settings, service), of_service(found, name), inspected.result(), memory.result())
            for name, service in services.items()
        ]
    return [_with_own_words(settings, one) if one.service == "stream" else one for one in lines]


def line(
    service: Service,
    place: str,
    found: Sequence[Container],
    inspected: Mapping[str, Inspected],
    memory: Mapping[str, int],
) -> ServiceStatus:
    """Return what `status` shows of one service, of all its containers."""
    known = [inspected[container.id] for container in found if container.id in inspected]
    one = progress(service, found)
    state, reason = _state(one.word, service, found, known)
    used = sum(memory.get(container.id, 0) for container in found) or None
    since = max((one.started_at for one in known if one.started_at), default=None)
    ended = state == "stopped" or one.word == "done"
    detail = "done" if one.word == "done" else f"{len(found)} containers" if len(found) > 1 else None
    return ServiceStatus(
        service.name,
        state,
        place,
        None,
        used,
        since.isoformat() if since and not ended else None,
        reason,
        detail,
        found[0].id if found and not ended else None,
    )


def address(settings: Settings, service: Service) -> str:
    """Return where a service listens, as one would type it; empty if only other containers reach it."""
    if setting := _URLS.get(service.name):
        return getattr(settings, setting.lower()) or "" if local_address(settings, setting) else ""
    if service.name == "kafka":
        return settings.kafka_bootstrap_servers
    return f"127.0.0.1:{service.ports[0]}" if service.ports else ""


def _state(
    word: str, service: Service, found: Sequence[Container], known: Sequence[Inspected]
) -> tuple[str, str | None]:
    """Return a service's state in `pinline.runtime.ServiceStatus`'s words, and why it is not ready."""
    if word in ("ready", "done"):
        return "ready", None
    said = next((" ".join(one.health_output.split()) for one in known if one.health_output), None)
    states = {container.state for container in found}
    if states <= {"exited", "created"} and not any(container.exit_code for container in found if service.is_task):
        return "stopped", next((one.error for one in known if one.error), None)
    is_failing = (
        "running" not in states
        or any(container.health == "unhealthy" for container in found)
        or any(one.restarts >= _MOST_RESTARTS for one in known)
    )
    restarts = max((one.restarts for one in known), default=0)
    ended = f"it ended {restarts} times; " if is_failing and restarts else ""
    memory = "killed for memory; " if any(one.was_out_of_memory for one in known) else ""
    return ("failing" if is_failing else "starting"), f"{ended}{memory}{said or word}"


def _with_own_words(settings: Settings, one: ServiceStatus) -> ServiceStatus:
    """Add what the streaming job says of itself: how far behind it is, or what it fails of."""
    if one.state == "stopped":
        return one
    state, reason = ready.examine(ready.stream, settings)
    detail = None
    if reason is None:
        try:
            detail = ready.stream_detail(settings)
        except OSError:  # it went away between two questions
            state, reason = one.state, one.reason  # type: ignore[assignment]
    return ServiceStatus(
        one.service, state, one.address, None, one.memory_bytes, one.since, reason, detail, one.container
    )
