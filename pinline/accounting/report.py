"""Show balances: a table of what each hop holds, then everything that is wrong, by name."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from pinline.accounting.balance import Balance

_ROWS = (
    ("acknowledged, distinct keys", "acknowledged"),
    ("in Kafka", "kafka_records"),
    ("resent or foreign", "resent_or_foreign"),
    ("dead letters", "dead_letters"),
    ("ignored nulls", "ignored_nulls"),
    ("objects in S3", "objects"),
    ("lines in S3", "lines"),
    ("silver rows", "silver"),
    ("quarantined", "quarantined"),
    ("duplicates", "duplicates"),
)
_FAULTS = {
    "missing_keys": "acknowledged, and neither in silver nor in quarantine (keys)",
    "keys_twice_in_silver": "more than once in silver (keys)",
    "offsets_not_in_s3": "in Kafka, and in no object, no dead letter, no ignored null",
    "offsets_in_two_objects": "in more than one object",
    "wrong_objects": "objects that contradict Kafka or themselves",
    "lines_not_in_lake": "lines that are no silver row, no quarantine row and no duplicate",
    "silver_rows_without_a_line": "silver rows whose line is not in S3",
}
_SHOWN = 20


def show(console: Console, balances: Mapping[str, Balance]) -> None:
    """Print the balances of all events."""
    table = Table("", *balances, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for title, field in _ROWS:
        table.add_row(title, *(f"{getattr(balance, field):,}" for balance in balances.values()))
    console.print(table)
    for event, balance in balances.items():
        for kind, named in balance.faults.items():
            console.print(f"[red]{event}: {len(named):,} {_FAULTS[kind]}[/]")
            for line in named[:_SHOWN]:
                console.print(f"  {line}", markup=False)
            if len(named) > _SHOWN:
                console.print(f"  ... and {len(named) - _SHOWN:,} more: pinline accounting --json")
    if all(balance.balanced for balance in balances.values()):
        console.print("[green]balanced[/]: nothing lost, nothing doubled")
    else:
        console.print("[red]not balanced[/]. Not yet in S3: make wait. In S3 and not in silver: make batch.")
