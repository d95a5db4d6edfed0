"""Silver and gold anew from S3: after a change of the cleaning rules, or of silver by hand.

First the step `empty`, then the batch, which reads every object. Gold keeps the old answers until the new ones are
published; silver is incomplete meanwhile.
"""

import sys

from lakehouse import batch, tables
from lakehouse.jobs.empty import empty as empty_tables
from lakehouse.lease import Lease, Process, new_run
from lakehouse.step import WAIT_SECONDS
from pinline.errors import PinlineError
from pinline.settings import Settings, load


def empty(settings: Settings) -> None:
    """Empty progress, quarantine and silver, in this order, under the lease."""
    lake = tables.open_lake(settings)
    tables.create(lake)
    lease = Lease(lake, new_run("rebuild"), process=Process.this())
    lease.acquire(wait_seconds=WAIT_SECONDS, tell=print)
    with lease:
        lease.release("done", empty_tables(lake))


def main() -> None:
    """Empty silver and run the batch."""
    settings = load()
    try:
        print(
            "silver is being emptied and filled again from S3; gold keeps its answers until the new ones are published"
        )
        empty(settings)
    except PinlineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    batch.main()


if __name__ == "__main__":
    main()
