"""`pinline replay`: send dead letters or quarantined lines again."""

from enum import StrEnum
from typing import Annotated

import typer

from pinline.cli.console import out
from pinline.cli.progress import doing
from pinline.settings import load

_SHOWN = 20


class Kind(StrEnum):
    """What to send again."""

    dlq = "dlq"
    quarantine = "quarantine"


def replay(
    kind: Annotated[Kind, typer.Option(help="Dead letters, or quarantined lines.")] = Kind.dlq,
    again: Annotated[
        bool, typer.Option("--again", help="Also send what an earlier replay sent and what was set aside again.")
    ] = False,
) -> None:
    """Send each dead letter (or quarantined line) to its topic again, once; each is marked, none is deleted."""
    from pinline.replay.run import replay as run

    with doing(f"replaying {kind}") as tell:
        result = run(load(), kind.value, again=again, tell=tell)
    out.print(f"{result.sent:,} sent, {result.sent_before:,} were sent before")
    if result.came_back:
        out.print(
            f"{result.came_back:,} came back: an earlier replay sent them, and they were set aside again. "
            f"When the cause is fixed: make replay KIND={kind} AGAIN=1"
        )
    for entry in result.unsendable[:_SHOWN]:
        out.print(f"not sent: {entry.name}: {entry.reason}", markup=False, soft_wrap=True)
    if len(result.unsendable) > _SHOWN:
        out.print(f"... and {len(result.unsendable) - _SHOWN:,} more that can't be sent")
    if result.sent:
        out.print("Next: make wait, make batch, make accounting (they are counted as resent or foreign)")
