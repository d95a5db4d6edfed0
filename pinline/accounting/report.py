"""Show balances: a table of what each hop holds, then everything that is wrong, by name."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from pinline.accounting.run import BothSides

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
_STREAM_ROWS = (
    ("acknowledged by Kinesis, distinct keys", "acknowledged"),
    ("acknowledged by Kinesis, records", "acknowledged_records"),
    ("rows of the stream's table", "rows"),
    ("quarantined by the stream", "quarantined"),
)
_FAULTS = {
    "missing_keys": "acknowledged, and neither in silver nor in quarantine (keys)",
    "keys_twice_in_silver": "more than once in silver (keys)",
    "offsets_not_in_s3": "in Kafka, and in no object, no dead letter, no ignored null",
    "offsets_in_two_objects": "in more than one object",
    "wrong_objects": "objects that contradict Kafka or themselves",
    "lines_not_in_lake": "lines that are no silver row, no quarantine row and no duplicate",
    "keys_twice_in_table": "more than once in the stream's table (keys)",
    "quarantined_twice": "more than once in the stream's quarantine",
    "silver_rows_without_a_line": "silver rows whose line is not in S3",
}
_SHOWN = 20


_STREAM_MISSING = "acknowledged by Kinesis, and neither in the stream's table nor in its quarantine (keys)"


def show(console: Console, balances: Mapping[str, BothSides]) -> None:
    """Print the balances of all events."""
    table = Table("", *balances, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for title, field in _ROWS:
        table.add_row(title, *(f"{getattr(both.batch, field):,}" for both in balances.values()))
    table.add_section()
    for title, field in _STREAM_ROWS:
        table.add_row(title, *(f"{getattr(both.stream, field):,}" for both in balances.values()))
    console.print(table)
    for event, both in balances.items():
        for kind, named in both.batch.faults.items():
            _show_fault(console, event, _FAULTS[kind], named)
        for kind, named in both.stream.faults.items():
            _show_fault(console, event, _STREAM_MISSING if kind == "missing_keys" else _FAULTS[kind], named)
    if all(both.balanced for both in balances.values()):
        console.print("[green]balanced[/]: nothing lost, nothing doubled")
    else:
        console.print(
            "[red]not balanced[/]. Not yet in S3 or in the stream's tables: make wait. Not in silver: make batch."
        )


def _show_fault(console: Console, event: str, text: str, named: list[str]) -> None:
    console.print(f"[red]{event}: {len(named):,} {text}[/]")
    for line in named[:_SHOWN]:
        console.print(f"  {line}", markup=False)
    if len(named) > _SHOWN:
        console.print(f"  ... and {len(named) - _SHOWN:,} more: pinline accounting --json")
