"""A line that says what is being done, on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pinline.cli.console import err


@contextmanager
def doing(title: str) -> Iterator[Callable[[str], None]]:
    """Show `title` with a spinner on standard error; yields a function that changes what is shown after it."""
    with err.status(title) as status:
        yield lambda what: status.update(f"{title}: {what}")
