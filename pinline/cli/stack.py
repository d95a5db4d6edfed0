"""`pinline up|down|status|logs|doctor|stream-reset|reset|clean`: the stack from the command line, on both runtimes.

Exit codes: 0 done; 1 something failed, or (status, doctor) something doesn't answer; 2 the settings are wrong.
"""

import json
import shutil
import sys
from dataclasses import asdict
from typing import Annotated, cast

import typer

from native import envfile, layout
from pinline import runtime_choice
from pinline.cli import display
from pinline.cli.console import err
from pinline.cli.doctor import Format, examine_account
from pinline.cli.systems import systems
from pinline.errors import PinlineError
from pinline.runtime import Runtime
from pinline.settings import ROOT, Settings, env_file, load

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

_DATA_FOLDERS = ("mysql", "kafka", "s3", "spark", "emulator", "workspace", "airflow", "log", "run")


@app.command()
def up(
    context: typer.Context,
    only: Annotated[str, typer.Option(help="Services to start, parted by commas; all by default.")] = "",
) -> None:
    """Start the stack and wait until everything answers."""
    added = envfile.ensure(env_file())
    if added:
        err.print(f"{env_file()}: {len(added)} settings written", markup=False)
    settings = load()
    runtime, why = _runtime(context, settings)
    err.print(why, markup=False, soft_wrap=True)
    runtime_choice.check_owner(settings.pinline_data, runtime.name)
    names = [name for part in only.split(",") if (name := part.strip())]
    with display.progress() as tell:
        runtime.up(settings, names, tell)
    if not names:
        runtime.recover(settings, lambda text: err.print(text, markup=False, soft_wrap=True))
    display.addresses(settings, runtime.name)


@app.command()
def down(context: typer.Context) -> None:
    """Stop the stack; its data is kept, and no process or container is left."""
    settings = load()
    runtime, _ = _runtime(context, settings)
    with display.progress() as tell:
        runtime.down(settings, tell)
    err.print("the stack is down; its data is kept. Next: make up")


@app.command()
def status(context: typer.Context, form: Annotated[Format, typer.Option("--format")] = Format.TEXT) -> None:
    """Show every service: state, address, process or container, memory, since. Exit code 1 unless all are ready."""
    settings = load()
    runtime, _ = _runtime(context, settings)
    found = runtime.status(settings)
    if form is Format.JSON:
        typer.echo(json.dumps([asdict(line) for line in found], indent=2))
    else:
        display.services(found)
    raise typer.Exit(0 if all(line.state == "ready" for line in found) else 1)


@app.command()
def logs(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="A service. `make status` lists them.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1)] = 100,
) -> None:
    """Show the end of a service's log."""
    settings = load()
    runtime, _ = _runtime(context, settings)
    raise typer.Exit(runtime.logs(settings, service, follow=follow, lines=lines))


@app.command()
def doctor(
    context: typer.Context,
    form: Annotated[Format, typer.Option("--format")] = Format.TEXT,
    aws: Annotated[bool, typer.Option("--aws", help="What an AWS account still lacks; changes nothing.")] = False,
) -> None:
    """Say for each system where the settings point and whether it answers. Exit code 1 unless all do."""
    if aws:
        examine_account(form)
    settings = load()
    runtime, _ = _runtime(context, settings)
    found = [*runtime.examine(settings), *systems(settings)]
    if form is Format.JSON:
        typer.echo(json.dumps([asdict(line) for line in found], indent=2))
    else:
        display.findings(found)
    raise typer.Exit(0 if all(line.answers for line in found) else 1)


@app.command("stream-reset")
def stream_reset(context: typer.Context) -> None:
    """Forget how far the streaming job is; it reads again all that Kinesis holds, and takes in what is missing."""
    from lakehouse.stream.reset import reset as forget  # the lake's package isn't in every image

    settings = load()
    runtime, _ = _runtime(context, settings)
    ran = runtime.stop(settings, "stream")
    try:
        count = forget(settings)
        err.print(f"{count} objects of the stream's checkpoint deleted; the tables stay")
    finally:
        if ran:
            runtime.start(settings, "stream")
    if ran:
        err.print("the stream starts anew. Next: make status, make wait")


@app.command()
def reset(
    context: typer.Context, yes: Annotated[bool, typer.Option("--yes", envvar="YES", help="Don't ask.")] = False
) -> None:
    """Empty the data: database, topics, objects, tables, logs. Downloads and .env stay."""
    settings = load()
    runtime, _ = _runtime(context, settings)
    _confirm(f"delete all data {_data(settings, runtime)}?", yes)
    _stop_and_delete(settings, runtime)
    err.print(f"{settings.pinline_data} is empty. Next: make up", markup=False, soft_wrap=True)


@app.command()
def clean(
    context: typer.Context, yes: Annotated[bool, typer.Option("--yes", envvar="YES", help="Don't ask.")] = False
) -> None:
    """Remove all that was made: data, images, downloads, the virtual environment. .env stays."""
    settings = load()
    runtime, _ = _runtime(context, settings)
    environment = ROOT / ".venv"
    _confirm(f"delete the data {_data(settings, runtime)}, {settings.pinline_local} and {environment}?", yes)
    _stop_and_delete(settings, runtime)
    runtime.remove(settings)
    for folder in (settings.pinline_local, environment):
        shutil.rmtree(folder, ignore_errors=True)
    err.print("removed. Next: make demo")


def _runtime(context: typer.Context, settings: Settings) -> tuple[Runtime, str]:
    """Return the runtime that the command line is for (`python -m native`), or the chosen one, and why it is that."""
    if context.obj is not None:
        runtime = cast("Runtime", context.obj)
        return runtime, f"The stack runs {runtime_choice.WHERE[runtime.name]}"
    choice = runtime_choice.chosen(settings.runtime, settings.pinline_data, runtime_choice.project_name(env_file()))
    if choice.name == "docker":
        from containers.runtime import Containers

        return Containers(), choice.why
    from native.runtime import Native  # what it takes is not installed where the stack runs in containers

    return Native(), choice.why


def _data(settings: Settings, runtime: Runtime) -> str:
    volumes = "in the volumes of the stack's containers and " if runtime.name == "docker" else ""
    return f"{volumes}in {settings.pinline_data}"


def _stop_and_delete(settings: Settings, runtime: Runtime) -> None:
    with display.progress() as tell:
        runtime.reset(settings, tell)
    for folder in (*(settings.pinline_data / name for name in _DATA_FOLDERS), layout.run_dir(settings)):
        if folder.exists():
            shutil.rmtree(folder)
    runtime_choice.release(settings.pinline_data)


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise PinlineError(f"{question} Say so with --yes, or YES=1 in the environment.")
    typer.confirm(question, abort=True)
