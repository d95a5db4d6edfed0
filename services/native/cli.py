"""`pinline up|down|status|logs|doctor|reset|clean`: the embedded stack from the command line.

Exit codes: 0 done; 1 something failed, or (status, doctor) something doesn't answer; 2 the settings are wrong.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from native import doctor as examination
from native import envfile, layout, stack, supervise
from native import status as states
from native.services import SERVICES, choose
from pinline.errors import PinlineError, SettingsError
from pinline.settings import ROOT, Settings, env_file, load

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
_out = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
_err = Console(stderr=True, highlight=False)

_DATA_FOLDERS = ("mysql", "kafka", "s3", "spark", "emulator", "workspace", "airflow", "log", "run")


class Format(StrEnum):
    """How a command prints what it found."""

    TEXT = "text"
    JSON = "json"


@app.command()
def up(only: Annotated[str, typer.Option(help="Services to start, parted by commas; all by default.")] = "") -> None:
    """Start the stack and wait until everything answers."""
    added = envfile.ensure(env_file())
    if added:
        _err.print(f"{env_file()}: {len(added)} settings written", markup=False)
    settings = load()
    services = choose(name.strip() for name in only.split(",") if name.strip())
    with _progress() as tell:
        stack.up(settings, services, tell)
    _addresses(settings)


@app.command()
def down() -> None:
    """Stop the stack; nothing is lost and no process is left."""
    with _progress() as tell:
        stack.down(load(), SERVICES, tell)
    _err.print("the stack is down; its data is kept. Next: make up")


@app.command()
def status(form: Annotated[Format, typer.Option("--format")] = Format.TEXT) -> None:
    """Show every service: state, address, pid, memory, since. Exit code 1 unless all are ready."""
    found = states.status(load(), SERVICES)
    if form is Format.JSON:
        typer.echo(json.dumps([asdict(line) for line in found], indent=2))
    else:
        _out.print(_status_table(found))
    raise typer.Exit(0 if all(line.state == "ready" for line in found) else 1)


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="A service, `supervisord` or `seed`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1)] = 100,
) -> None:
    """Show the end of a service's log."""
    settings = load()
    if service not in (*SERVICES, "supervisord", "seed"):
        raise SettingsError(f"no service {service!r}. Valid: {', '.join(SERVICES)}, supervisord, seed")
    file = layout.log_file(settings, service)
    if not file.exists():
        raise PinlineError(f"{service} has not logged anything yet: {file} is not there. Try: make up")
    options = ["-F"] if follow else []
    raise typer.Exit(subprocess.run(["tail", "-n", str(lines), *options, file], check=False).returncode)


@app.command()
def doctor(
    form: Annotated[Format, typer.Option("--format")] = Format.TEXT,
    aws: Annotated[bool, typer.Option("--aws", help="What an AWS account still lacks; changes nothing.")] = False,
) -> None:
    """Say for each system where the settings point and whether it answers. Exit code 1 unless all do."""
    if aws:
        from pinline.cli.doctor import examine_account  # it imports this module

        examine_account(form)
    settings = load()
    found = [*examination.machine(settings), *examination.systems(settings)]
    if form is Format.JSON:
        typer.echo(json.dumps([asdict(line) for line in found], indent=2))
    else:
        table = Table("system", "where", "setting", "")
        for line in found:
            mark = "[green]✓[/]" if line.answers else "[red]✗[/]"
            table.add_row(line.system, line.address, line.setting, f"{mark} {line.detail[:120]}")
        _out.print(table)
    raise typer.Exit(0 if all(line.answers for line in found) else 1)


@app.command("stream-reset")
def stream_reset() -> None:
    """Forget how far the streaming job is; it reads again all that Kinesis holds, and takes in what is missing."""
    from lakehouse.stream.reset import reset as forget  # the lake's package isn't in every image

    settings = load()
    supervisor = supervise.connect(settings)
    program = supervisor.programs().get("stream") if supervisor else None
    runs = supervisor is not None and program is not None and program.state != "STOPPED"
    if supervisor is not None and runs:
        supervisor.stop("stream", wait=True)
    count = forget(settings)
    _err.print(f"{count} objects of the stream's checkpoint deleted; the tables stay")
    if supervisor is not None and runs:
        supervisor.start("stream")
        _err.print("the stream starts anew. Next: make status, make wait")


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", envvar="YES", help="Don't ask.")] = False) -> None:
    """Empty the data: database, topics, objects, tables, logs. Downloads and .env stay."""
    settings = load()
    _confirm(f"delete all data in {settings.pinline_data}?", yes)
    _stop_and_delete(settings)
    _err.print(f"{settings.pinline_data} is empty. Next: make up", markup=False)


@app.command()
def clean(yes: Annotated[bool, typer.Option("--yes", envvar="YES", help="Don't ask.")] = False) -> None:
    """Remove all that was made: data, downloads, the virtual environment. .env stays."""
    settings = load()
    environment = ROOT / ".venv"
    _confirm(f"delete {settings.pinline_data}, {settings.pinline_local} and {environment}?", yes)
    _stop_and_delete(settings)
    for folder in (settings.pinline_local, environment):
        shutil.rmtree(folder, ignore_errors=True)
    _err.print("removed. Next: make demo")


def _stop_and_delete(settings: Settings) -> None:
    with _progress() as tell:
        stack.down(settings, SERVICES, tell)
    for folder in (*(settings.pinline_data / name for name in _DATA_FOLDERS), layout.run_dir(settings)):
        if folder.exists():
            shutil.rmtree(folder)


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise PinlineError(f"{question} Say so with --yes, or YES=1 in the environment.")
    typer.confirm(question, abort=True)


def _addresses(settings: Settings) -> None:
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
    table.add_row("sink's metrics", f"http://127.0.0.1:{settings.sink_metrics_port}/metrics")
    _out.print(table)
    _out.print("Next: make emulate COUNT=100, or make demo. What runs: make status")


def _status_table(found: list[states.ServiceStatus]) -> Table:
    table = Table("service", "state", "address", "pid", "memory", "since", "")
    colours = {"ready": "green", "starting": "yellow", "failing": "red", "stopped": "dim"}
    for line in found:
        state = f"[{colours[line.state]}]{line.state}[/]"
        since = datetime.fromisoformat(line.since).astimezone().strftime("%d %b %H:%M:%S") if line.since else ""
        memory = f"{line.memory_bytes / 1e6:,.0f} MB" if line.memory_bytes else ""
        note = escape(line.detail or line.reason or "")
        table.add_row(line.service, state, line.address, str(line.pid or ""), memory, since, note)
    return table


@contextmanager
def _progress() -> Iterator[Callable[[str, str], None]]:
    """Show each step's state: a table that changes on a terminal, a line a change otherwise."""
    seen: dict[str, str] = {}

    def table() -> Table:
        grid = Table.grid(padding=(0, 2))
        for name, state in seen.items():
            colour = {"ready": "green", "stopped": "dim", "waiting": "dim"}.get(state, "yellow")
            grid.add_row(name, f"[{colour}]{state}[/]")
        return grid

    if _err.is_terminal:
        with Live(table(), console=_err, refresh_per_second=8) as live:

            def show(name: str, state: str) -> None:
                seen[name] = state
                live.update(table())

            yield show
    else:

        def write(name: str, state: str) -> None:
            if seen.get(name) != state and state != "waiting":
                _err.print(f"{name}: {state}", markup=False)
            seen[name] = state

        yield write


def main() -> None:
    """Run a command; an error of ours is its text."""
    try:
        app()
    except PinlineError as error:
        _err.print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
