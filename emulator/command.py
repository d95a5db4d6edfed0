"""The command line of both emulations: the same options, another mode if none is named."""

from enum import StrEnum
from typing import Annotated

import typer

from emulator.delivery import Patience
from emulator.engine import Pace
from emulator.run import Order, run
from emulator.streams import MOST_RECORDS, KinesisStreams
from emulator.target import KafkaRest, Target
from pinline import settings as pinline_settings
from pinline.errors import PinlineError
from pinline.settings import Settings

DEFAULT_CONCURRENCY = 16


class Mode(StrEnum):
    """Where events go."""

    batch = "batch"
    stream = "stream"
    both = "both"


class OrderName(StrEnum):
    """The orders."""

    random = "random"
    sequential = "sequential"


def emulation(default: Mode) -> typer.Typer:
    """Return the command, of mode `default` unless told."""
    app = typer.Typer(add_completion=False)

    @app.command()
    def main(
        count: Annotated[int | None, typer.Option(min=0, help="Post this many further events, then end.")] = None,
        rate: Annotated[float | None, typer.Option(min=0, help="Events a second; 0: as fast as possible.")] = None,
        order: Annotated[
            OrderName, typer.Option(help="Random draws from the seed, or the tables in order.")
        ] = OrderName.random,
        concurrency: Annotated[
            int | None, typer.Option(min=1, help="Requests at once.  [default: 16; 1 with the course's pauses]")
        ] = None,
        batch_size: Annotated[int, typer.Option(min=1, max=1000, help="Records of one event type in a request.")] = 1,
        seed: Annotated[int, typer.Option(help="Of the random order.")] = 100,
        max_index: Annotated[
            int | None,
            typer.Option(min=0, help="Highest index to draw.  [default: 11000, or the tables' last if lower]"),
        ] = None,
        start: Annotated[
            int | None, typer.Option(min=0, help="Sequential order: begin at this index, wherever the last run ended.")
        ] = None,
        give_up_after: Annotated[
            float, typer.Option(min=0, help="Seconds of trying after which a record goes to the spool.")
        ] = 60.0,
        restart: Annotated[bool, typer.Option("--restart", help="Begin the sequence anew.")] = False,
        mode: Annotated[
            Mode, typer.Option(help="batch: to Kafka's topics. stream: to Kinesis's streams. both: each event to both.")
        ] = default,
    ) -> None:
        """Post events (a pin, a geo and a user record each) as users would.

        Without options it does what the course's script does: the draws of seed 100, 0 or 1 s pauses, for ever.
        With --count, --rate or the sequential order there are no pauses.
        It goes on where the last run of the same mode, order, seed and --max-index ended; the sequential order ends
        with the tables. Ctrl-C ends it after what is in flight, a second Ctrl-C at once.

        Exit codes: 0 all was accepted; 3 the spool holds records that were not (the next run sends them first);
        2 wrong usage or settings; 1 it could not begin or had to end early, the reason is printed; 130 ended at once.
        """
        pauses = count is None and rate is None and order is OrderName.random
        if start is not None and order is not OrderName.sequential:
            raise typer.BadParameter("--start goes with --order sequential")
        if mode is not Mode.batch and batch_size > MOST_RECORDS:
            raise typer.BadParameter(f"--batch-size is at most {MOST_RECORDS}: more is no PutRecords")
        try:
            settings = pinline_settings.load()
            pace = Pace(
                count=count,
                rate=rate or None,
                pauses=pauses,
                concurrency=concurrency or (1 if pauses else DEFAULT_CONCURRENCY),
                batch_size=batch_size,
            )
            place = Order(order.value, seed, max_index, start, restart)
            code = run(settings, targets(settings, mode), place, pace, Patience(give_up_after=give_up_after))
        except PinlineError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        raise typer.Exit(code)

    return app


def targets(settings: Settings, mode: Mode) -> list[Target]:
    """Return where the events of a mode go."""
    found: list[Target] = []
    if mode is not Mode.stream:
        found.append(KafkaRest(settings.api_invoke_url, settings.user_id))
    if mode is not Mode.batch:
        found.append(KinesisStreams(settings.api_invoke_url, settings.user_id))
    return found
