"""What runs, where, and since when."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from native import leftovers, supervise
from native.ready import examine
from native.services import Service
from native.supervise import Program
from pinline.errors import SettingsError
from pinline.runtime import ServiceStatus
from pinline.settings import Settings


def status(settings: Settings, services: Mapping[str, Service]) -> list[ServiceStatus]:
    """Return the state of each service; all are asked at the same time."""
    supervisor = supervise.connect(settings)
    programs = supervisor.programs() if supervisor else {}
    with ThreadPoolExecutor(max(1, len(services))) as pool:
        return list(pool.map(lambda service: _status(settings, service, programs.get(service.name)), services.values()))


def shown_address(settings: Settings, service: Service) -> str:
    """Return where a service listens, as one would type it."""
    try:
        ports = service.ports(settings)
    except SettingsError as error:
        return str(error)
    if not ports:
        return ""
    host, port = next(iter(ports.values()))
    urls = {
        "s3": settings.aws_endpoint_url_s3,
        "gateway": settings.api_invoke_url,
        "spark": settings.spark_remote,
        "workspace": settings.databricks_host,
    }
    return urls.get(service.name) or f"{host}:{port}"


def _status(settings: Settings, service: Service, program: Program | None) -> ServiceStatus:
    place = shown_address(settings, service)
    if program is None or not program.pid:
        failing = program is not None and program.state in ("BACKOFF", "FATAL")
        reason = program.description if program and failing else None
        return ServiceStatus(service.name, "failing" if failing else "stopped", place, None, None, None, reason)
    state, reason = examine(service.check, settings)
    since = datetime.fromtimestamp(program.start, UTC).isoformat()
    memory = leftovers.tree_memory(program.pid)
    detail = _detail(settings, service) if reason is None else None
    return ServiceStatus(service.name, state, place, program.pid, memory, since, reason, detail)


def _detail(settings: Settings, service: Service) -> str | None:
    try:
        return service.detail(settings)
    except OSError:  # it went away between two questions
        return None
