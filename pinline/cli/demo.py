"""`pinline demo`: the batch path and the streaming one, one command after the other, as a user would type them."""

import subprocess
import sys
from enum import StrEnum

from rich.rule import Rule

from pinline.cli.console import out
from pinline.errors import PinlineError
from pinline.settings import ROOT, Settings


class Mode(StrEnum):
    """Who runs the batch."""

    AIRFLOW = "airflow"
    BATCH = "batch"


def run(settings: Settings, events: int, mode: Mode) -> None:
    """Run the steps, each a command of its own; stop at the first that fails, naming it."""
    python = sys.executable
    batch = {
        Mode.AIRFLOW: ("running the batch through Airflow: S3 to silver to gold", [python, "-m", "pinline", "dag"]),
        Mode.BATCH: ("running the batch: S3 to silver to gold", [python, "-m", "lakehouse.batch"]),
    }[mode]
    steps = [
        ("starting the services", [python, "-m", "pinline", "up"]),
        (
            f"posting {events:,} events to {settings.api_invoke_url}, each to Kafka and to Kinesis",
            [python, "emulator/user_posting_emulation.py", "--mode", "both", "--count", str(events)],
        ),
        (
            "waiting until Kafka's records are in S3, and Kinesis's in the stream's tables",
            [python, "-m", "pinline", "wait", "--timeout", "300"],
        ),
        batch,
        ("the answers", [python, "-m", "lakehouse.results"]),
        ("the events of both sides", [python, "-m", "lakehouse.sides"]),
        ("the accounting", [python, "-m", "pinline", "accounting"]),
        ("where to look", [python, "-m", "pinline", "status"]),
    ]
    for title, command in steps:
        out.print(Rule(f"[bold]{title}[/]", align="left"))
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            shown = " ".join(command[1:])
            raise PinlineError(f"{title}: `{shown}` ended with exit code {code}. Next: make status")
