"""Post events to Kafka through the API, as users would: `python emulator/user_posting_emulation.py --help`."""

from enum import StrEnum
from typing import Annotated

import typer

from emulator.delivery import Patience
from emulator.engine import Pace
from emulator.run import Order, run
from emulator.target import KafkaRest
from pinline import settings as pinline_settings
from pinline.errors import PinlineError

DEFAULT_CONCURRENCY = 16

app = typer.Typer(add_completion=False)


class OrderName(StrEnum):
    """The orders."""

    random = "random"
    sequential = "sequential"


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
        int | None, typer.Option(min=0, help="Highest index to draw.  [default: 11000, or the tables' last if lower]")
    ] = None,
    start: Annotated[
        int | None, typer.Option(min=0, help="Sequential order: begin at this index, wherever the last run ended.")
    ] = None,
    give_up_after: Annotated[
        float, typer.Option(min=0, help="Seconds of trying after which a record goes to the spool.")
    ] = 60.0,
    restart: Annotated[bool, typer.Option("--restart", help="Begin the sequence anew.")] = False,
) -> None:
    """Post events (a pin, a geo and a user record each) as users would.

    Without options it does what the course's script does: the draws of seed 100, 0 or 1 s pauses, for ever.
    With --count, --rate or the sequential order there are no pauses.
    It goes on where the last run of the same order, seed and --max-index ended; the sequential order ends with
    the tables. Ctrl-C ends it after what is in flight, a second Ctrl-C at once.

    Exit codes: 0 all was accepted; 3 the spool holds records that were not (the next run sends them first);
    2 wrong usage or settings; 1 it could not begin or had to end early, the reason is printed; 130 ended at once.
    """
    pauses = count is None and rate is None and order is OrderName.random
    if start is not None and order is not OrderName.sequential:
        raise typer.BadParameter("--start goes with --order sequential")
    try:
        settings = pinline_settings.load()
        pace = Pace(
            count=count,
            rate=rate or None,
            pauses=pauses,
            concurrency=concurrency or (1 if pauses else DEFAULT_CONCURRENCY),
            batch_size=batch_size,
        )
        target = KafkaRest(settings.api_invoke_url, settings.user_id)
        place = Order(order.value, seed, max_index, start, restart)
        code = run(settings, target, place, pace, Patience(give_up_after=give_up_after))
    except PinlineError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code)


if __name__ == "__main__":
    app()
