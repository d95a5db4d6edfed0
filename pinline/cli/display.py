"""How the stack's commands show what they do and what they found."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from pinline.cli.console import err
from pinline.runtime import Finding, ServiceStatus
from pinline.runtime_choice import Name
from pinline.settings import Settings, env_file

wide = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
"""Standard output, for tables, which are not cut at 80 columns when they go into a file."""

_STATES = {"ready": "green", "starting": "yellow", "failing": "red", "stopped": "dim"}
_STEPS = {"ready": "green", "done": "green", "built": "green", "stopped": "dim", "waiting": "dim"}


def addresses(settings: Settings, runtime: Name) -> None:
    """Print where everything is that people open."""
    table = Table("what", "where", title="the stack is up", title_justify="left")
    table.add_row("API, as producers see it", settings.api_invoke_url)
    table.add_row("REST proxy", f"http://127.0.0.1:{settings.rest_proxy_port}")
    table.add_row("Spark's pages", f"http://127.0.0.1:{settings.spark_ui_port}")
    table.add_row("Spark Connect", settings.spark_remote or "")
    table.add_row("the stream's pages", f"http://127.0.0.1:{settings.stream_ui_port}")
    table.add_row("Airflow", f"http://127.0.0.1:{settings.airflow_port} (user admin, AIRFLOW_PASSWORD of {env_file()})")
    table.add_row("Kafka", settings.kafka_bootstrap_servers)
    table.add_row("S3", f"{settings.aws_endpoint_url_s3} bucket {settings.bucket}")
    table.add_row("MySQL", f"{settings.rds_host}:{settings.rds_port} database {settings.rds_database}")
    if runtime == "native":
        table.add_row("sink's metrics", f"http://127.0.0.1:{settings.sink_metrics_port}/metrics")
    wide.print(table)
    wide.print("Next: make emulate COUNT=100, or make demo. What runs: make status")


def services(found: Sequence[ServiceStatus]) -> None:
    """Print the state of every service."""
    contained = any(line.container for line in found)
    table = Table("service", "state", "address", "container" if contained else "pid", "memory", "since", "")
    for line in found:
        state = f"[{_STATES[line.state]}]{line.state}[/]"
        since = datetime.fromisoformat(line.since).astimezone().strftime("%d %b %H:%M:%S") if line.since else ""
        memory = f"{line.memory_bytes / 1e6:,.0f} MB" if line.memory_bytes else ""
        note = escape(line.detail or line.reason or "")
        table.add_row(line.service, state, line.address, line.container or str(line.pid or ""), memory, since, note)
    wide.print(table)


def findings(found: Sequence[Finding]) -> None:
    """Print what `doctor` found."""
    table = Table("system", "where", "setting", "")
    for line in found:
        mark = "[green]✓[/]" if line.answers else "[red]✗[/]"
        table.add_row(line.system, line.address, line.setting, f"{mark} {escape(line.detail[:120])}")
    wide.print(table)


@contextmanager
def progress() -> Iterator[Callable[[str, str], None]]:
    """Show each step's state: a table that changes on a terminal, a line a change otherwise."""
    seen: dict[str, str] = {}

    def table() -> Table:
        grid = Table.grid(padding=(0, 2))
        for name, state in seen.items():
            grid.add_row(name, f"[{_STEPS.get(state, 'yellow')}]{escape(state)}[/]")
        return grid

    if err.is_terminal:
        with Live(table(), console=err, refresh_per_second=8) as live:

            def show(name: str, state: str) -> None:
                seen[name] = state
                live.update(table())

            yield show
    else:

        def write(name: str, state: str) -> None:
            if seen.get(name) != state and state != "waiting":
                err.print(f"{name}: {state}", markup=False, soft_wrap=True)
            seen[name] = state

        yield write
