"""The command line: `pinline ...`. The Makefile's targets call these; each command reads the settings once.

Commands of the local stack (up, down, status, logs, doctor, reset, clean) are there where `native` is installed.
"""

import sys
import time
from importlib.util import find_spec
from typing import Annotated, Any

import orjson
import typer
from rich.tree import Tree

from pinline.cli import s3, streams, topics
from pinline.cli.console import err, out
from pinline.cli.demo import Mode
from pinline.cli.doctor import doctor
from pinline.cli.progress import doing
from pinline.cli.replay import replay
from pinline.errors import PinlineError
from pinline.settings import load

app = typer.Typer(
    help="The Pinterest data pipeline on one machine; the same code on AWS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(topics.app, name="topics")
app.add_typer(s3.app, name="s3")
app.add_typer(streams.app, name="streams")
app.command()(replay)


@app.command()
def wait(timeout: Annotated[float, typer.Option(help="Seconds.")] = 120) -> None:
    """Wait until all that Kafka holds is in S3, and all that the streams hold in the stream's tables."""
    from pinline.waiting import wait_for_s3, wait_for_stream

    settings = load()
    deadline = time.monotonic() + timeout
    with doing("waiting for S3") as tell:
        waited = wait_for_s3(settings, timeout, tell)
    out.print(f"all of Kafka is in S3 ({waited:,} records were on their way)")
    with doing("waiting for the stream") as tell:
        shards = wait_for_stream(settings, max(1.0, deadline - time.monotonic()), tell)
    out.print(
        f"all of Kinesis is in the stream's tables ({shards:,} shards)" if shards else "nothing was ever streamed"
    )


@app.command()
def trace(ind: int, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show one event in every place that it is in."""
    from dataclasses import asdict

    from pinline.trace import trace as find

    with doing(f"looking for event {ind}"):
        places = find(load(), ind)
    if as_json:
        _print_json({event: asdict(place) for event, place in places.items()})
        return
    for event, place in places.items():
        tree = Tree(f"[bold]{event} {ind}[/]")
        tree.add(f"source row: {_row(place.source)}")
        for entry in place.acknowledged:
            part = "partition" if entry.destination == "kafka" else "shard"
            tree.add(f"acknowledged: {entry.destination} {part} {entry.partition} at {entry.position}")
        for partition, offset in place.kafka:
            tree.add(f"Kafka: partition {partition} offset {offset}")
        for key, line in place.objects:
            tree.add(f"S3: {key} line {line}")
        tree.add(f"silver: {_row(place.silver)}")
        for row in place.quarantine:
            tree.add(f"quarantine: {_row(row)}")
        for row in place.stream:
            tree.add(f"stream: {_row(row)}")
        for row in place.stream_quarantine:
            tree.add(f"stream's quarantine: {_row(row)}")
        out.print(tree)


@app.command()
def accounting(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Check that everything accepted is where it has to be; exit code 1 if not."""
    from pinline.accounting.report import show
    from pinline.accounting.run import account

    with doing("accounting") as tell:
        balances = account(load(), tell)
    if as_json:
        _print_json({event: balance.to_json() for event, balance in balances.items()})
    else:
        show(out, balances)
    raise typer.Exit(0 if all(balance.balanced for balance in balances.values()) else 1)


@app.command()
def dag(
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Make silver and gold anew from S3.")] = False,
) -> None:
    """Run the batch's DAG in Airflow and follow its tasks to the end; exit code 1 if the run fails."""
    from pinline.cli.dag import run

    run(load(), full_refresh=full_refresh)


@app.command()
def demo(
    events: Annotated[int, typer.Option(min=1, help="Events to post.")] = 2000,
    mode: Annotated[Mode, typer.Option(help="Run the batch through Airflow, or by itself.")] = Mode.AIRFLOW,
) -> None:
    """Start everything, post events, run the batch, show the answers and the accounting."""
    from pinline.cli.demo import run

    run(load(), events, mode)


def _row(row: Any) -> str:
    return "none" if row is None else ", ".join(f"{key}={value!r}" for key, value in row.items())


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str) + b"\n")


if find_spec("native") is not None:
    from pinline.cli.stack import app as stack_app

    app.add_typer(stack_app)
else:
    app.command()(doctor)


def main() -> None:
    """Run a command; an error of ours is its text, not a traceback."""
    try:
        app()
    except PinlineError as error:
        err.print("[red]error:[/] ", end="")
        err.print(str(error), markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
