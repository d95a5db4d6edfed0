"""`python -m native ...`: the stack's commands for processes of this machine, whatever RUNTIME says."""

import sys

from native.runtime import Native
from pinline.cli.console import err
from pinline.cli.stack import app
from pinline.errors import PinlineError


def main() -> None:
    """Run a command; an error of ours is its text."""
    try:
        app(obj=Native())
    except PinlineError as error:
        err.print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
