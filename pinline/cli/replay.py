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
    stream = "stream"


def replay(
    kind: Annotated[
        Kind, typer.Option(help="Dead letters, quarantined lines, or what the streaming job set aside.")
    ] = Kind.dlq,
    again: Annotated[
        bool, typer.Option("--again", help="Also send what an earlier replay sent and what was set aside again.")
    ] = False,
) -> None:
    """Send each dead letter (or quarantined line, or the stream's quarantined record) to its topic (or stream) again,
    once; each is marked, none is deleted."""
    from pinline.replay.run import replay as run
    from pinline.replay.streams import replay_stream

    with doing(f"replaying {kind}") as tell:
        if kind is Kind.stream:
            result = replay_stream(load(), again=again, tell=tell)
        else:
            result = run(load(), "dlq" if kind is Kind.dlq else "quarantine", again=again, tell=tell)
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
