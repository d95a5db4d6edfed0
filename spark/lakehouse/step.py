"""A step of the batch as a program of its own: it takes the run's lease, does its work and says what it did.

Steps that are started by hand, without --run, belong to the run `manual`, which `publish` ends.
"""

import argparse
import sys
from collections.abc import Callable

from lakehouse import progress, tables
from lakehouse.lease import Lease
from lakehouse.session import compile_queries
from lakehouse.tables import Lake
from pinline.errors import PinlineError
from pinline.settings import load

WAIT_SECONDS = 600.0


def run_alone(
    about: str | None,
    work: Callable[[Lake, Lease, argparse.Namespace], object],
    options: Callable[[argparse.ArgumentParser], object] = lambda _: None,
) -> None:
    """Parse the command line, do `work` under the lease, print its result. Exit code 0, or 1 with an error's text."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", default="manual", help="the id of the run that this step is a part of (default %(default)s)"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help="how long to wait for another run (default %(default)s)",
    )
    options(parser)
    arguments = parser.parse_args()
    try:
        lake = tables.open_lake(load())
        tables.create(lake)
        compile_queries(lake.spark, progress.look(lake).rows)
        lease = Lease(lake, arguments.run)
        lease.acquire(wait_seconds=arguments.wait, tell=lambda text: print(text, flush=True))
        with lease:
            print(work(lake, lease, arguments), flush=True)
    except PinlineError as error:
        sys.exit(str(error))  # not a number: of a step that ended by SystemExit, Databricks shows what that holds
