"""Upkeep of silver and gold: join small files (OPTIMIZE), delete those that no version of the last week has (VACUUM).

No row changes, so the published answers stay current.
"""

from lakehouse import tables
from lakehouse.lease import Lease
from lakehouse.step import run_alone
from lakehouse.tables import Lake

_SCHEMAS = ("silver", "gold")


def tidy(lake: Lake, lease: Lease) -> str:
    """Tidy every table of silver and gold, then end the run; returns what was done."""
    names = [f"{schema}.{name}" for schema in _SCHEMAS for name in sorted(tables.existing(lake, schema))]
    for name in names:
        lake.sql("OPTIMIZE {table}", name).collect()
        lake.sql("VACUUM {table}", name).collect()
    lease.release("done", "upkeep")
    return f"{len(names)} tables tidied"


def main() -> None:
    """Run the step alone."""
    run_alone(__doc__, lambda lake, lease, _options: tidy(lake, lease))


if __name__ == "__main__":
    main()
