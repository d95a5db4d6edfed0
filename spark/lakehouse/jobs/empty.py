"""Empty progress, then quarantine and silver, so that the steps which follow read every object of S3 anew.

Gold keeps its answers until new ones are published. Killed in between, it is repeated, or the next batch goes on: it
reads what progress doesn't name, and finds rows that are still there as inserted.
"""

from lakehouse import fault
from lakehouse.step import run_alone
from lakehouse.tables import Lake
from pinline.events import EVENTS

_EMPTIED = ("ops.progress", "quarantine.records", *(f"silver.{event.name}" for event in EVENTS))


def empty(lake: Lake) -> str:
    """Empty the tables in their order; returns what was done. The caller holds the lease."""
    for table in _EMPTIED:
        lake.sql("DELETE FROM {table}", table)
        fault.after(lake.settings, f"empty:{table}")
    return "silver, quarantine and progress are empty; a batch fills them"


def main() -> None:
    """Run the step alone."""
    run_alone(__doc__, lambda lake, _lease, _options: empty(lake))


if __name__ == "__main__":
    main()
