"""Silver and gold anew from S3: after a change of the cleaning rules, or of silver by hand.

First `ops.progress` is emptied, then quarantine and silver, then the batch reads every object. Killed in between, the
next batch goes on: it reads what progress doesn't name, and finds rows that are still there as inserted. Gold keeps the
old answers until the new ones are published; silver is incomplete meanwhile.
"""

import sys

from lakehouse import batch, tables
from lakehouse.fault import after
from lakehouse.lease import Lease, Process, new_run
from lakehouse.step import WAIT_SECONDS
from lakehouse.tables import Lake
from pinline.errors import PinlineError
from pinline.events import EVENTS
from pinline.settings import Settings, load

_EMPTIED = ("ops.progress", "quarantine.records", *(f"silver.{event.name}" for event in EVENTS))


def empty(settings: Settings) -> None:
    """Empty progress, quarantine and silver, in this order, under the lease."""
    lake = tables.open_lake(settings)
    tables.create(lake)
    lease = Lease(lake, new_run("rebuild"), process=Process.this())
    lease.acquire(wait_seconds=WAIT_SECONDS, tell=print)
    with lease:
        for table in _EMPTIED:
            _delete_all(lake, table)
            after(settings, f"empty:{table}")
        lease.release("done", "silver, quarantine and progress are empty; a batch fills them")


def _delete_all(lake: Lake, table: str) -> None:
    lake.sql("DELETE FROM {table}", table)


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
