"""`pinline doctor --aws`: what an account still lacks. Works without the embedded stack's package."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from pinline.cli.console import err, out
from pinline.settings import load


class Format(StrEnum):
    """How a command prints what it found."""

    TEXT = "text"
    JSON = "json"


def examine_account(form: str) -> None:
    """Print what AWS still lacks; `form` is `text` or `json`. Exit code 1 unless everything is AWS's, and ready."""
    from pinline.account import examine

    found = examine(load())
    if form == Format.JSON:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        shown = Table("", "what", "where", "", box=None)
        marks = {"ready": "[green]✓[/]", "local": "[yellow]local[/]", "missing": "[red]✗[/]"}
        for finding in found:
            shown.add_row(marks[finding.state], finding.what, finding.where, finding.detail[:160])
        out.print(shown)
        if steps := dict.fromkeys((finding.setting, finding.next) for finding in found if finding.next):
            out.print("\nTo do, in this order:")
            for number, (setting, step) in enumerate(steps, 1):
                out.print(f"{number}. {step}  ({setting})", markup=False, soft_wrap=True)
    raise typer.Exit(0 if all(finding.state == "ready" for finding in found) else 1)


def doctor(
    aws: Annotated[bool, typer.Option("--aws", help="What an AWS account still lacks; changes nothing.")] = False,
    form: Annotated[Format, typer.Option("--format")] = Format.TEXT,
) -> None:
    """Say what an AWS account still lacks. Exit code 1 unless it lacks nothing."""
    if not aws:
        err.print("the embedded stack is not installed here, so AWS is looked at, as with --aws")
    examine_account(form)
