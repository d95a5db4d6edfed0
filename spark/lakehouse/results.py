"""The published answers, as tables to read or as one JSON object `{"q1": [{...}], ...}`."""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyspark.sql import DataFrame
from rich.console import Console
from rich.table import Table

from lakehouse import answers, tables
from lakehouse.tables import QUESTIONS, Lake
from pinline.errors import PinlineError, StateError
from pinline.settings import Settings, load

_SHOWN = 40


def results(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each published answer, ordered by all columns. Raises StateError if nothing is published."""
    lake = tables.open_lake(settings)
    missing = sorted(set(QUESTIONS) - tables.existing(lake, "gold"))
    if missing:
        raise StateError(f"reading the answers: gold holds no {', '.join(missing)} yet. Try: make batch")
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(QUESTIONS, pool.map(lambda question: _rows(lake, question), QUESTIONS), strict=True))


def title(question: str) -> str:
    """Return the first sentence of a question's definition."""
    definition = answers.text(question).partition("\n")[0].removeprefix("-- ")
    return definition.partition(". ")[0].rstrip(".")


def print_frame(frame: DataFrame, output_format: str) -> None:
    """Print rows as a table, or as a JSON list of objects."""
    print_rows([row.asDict(recursive=True) for row in frame.collect()], frame.columns, output_format)


def print_rows(rows: list[dict[str, Any]], columns: list[str], output_format: str) -> None:
    """Print rows as a table, or as a JSON list of objects."""
    if output_format == "json":
        json.dump(rows, sys.stdout, default=str, ensure_ascii=False, indent=2)
        print()
    else:
        _print_table(rows, columns, None, len(rows))


def _rows(lake: Lake, question: str) -> list[dict[str, Any]]:
    frame = lake.read(f"gold.{question}")
    return [row.asDict() for row in frame.orderBy(*frame.columns).collect()]


def _print_table(rows: list[dict[str, Any]], columns: list[str], heading: str | None, shown: int) -> None:
    console = Console(highlight=False)
    if heading:
        console.print(f"\n[bold]{heading}[/]")
    table = Table(caption_justify="left")
    for column in columns:
        is_number = rows and all(isinstance(row[column], int | float | None) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows[:shown]:
        table.add_row(*(_cell(row[column], column) for column in columns))
    if len(rows) > shown:
        table.caption = f"{len(rows) - shown} more: make sql Q=..., or FORMAT=json"
    console.print(table)


def _cell(value: object, column: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, int | float) and not column.endswith("year"):
        return f"{value:,}".removesuffix(".0")
    return str(value)


def main() -> None:
    """Print the answers."""
    parser = argparse.ArgumentParser(prog="python -m lakehouse.results", description=__doc__)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    output_format = parser.parse_args().format
    try:
        found = results(load())
    except PinlineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    if output_format == "json":
        json.dump(found, sys.stdout, default=str, ensure_ascii=False, indent=2)
        print()
        return
    for question, rows in found.items():
        columns = list(rows[0]) if rows else ["no rows"]
        _print_table(rows, columns, f"{question}  {title(question)}", _SHOWN)


if __name__ == "__main__":
    main()
