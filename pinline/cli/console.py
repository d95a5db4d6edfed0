"""Where commands print: results to standard output, what accompanies them to standard error."""

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
