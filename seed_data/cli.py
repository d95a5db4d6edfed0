"""`python -m seed_data [--events N] [--seed S] [--from DIR] [--if-empty]`: fill the source database."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pinline import log
from pinline import settings as pinline_settings
from pinline.errors import PinlineError
from pinline.settings import Settings
from seed_data import csv_files, generate
from seed_data.load import Source, load


@dataclass(frozen=True)
class Generated:
    """The generated database as a source of rows."""

    events: int
    seed: int

    @property
    def fingerprint(self) -> str:
        """What names this content."""
        return generate.fingerprint(self.events, self.seed)

    def chunks(self) -> Iterator[generate.Chunk]:
        """Yield the rows."""
        return generate.rows(self.events, self.seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False)
    try:
        settings = pinline_settings.load()
        log.configure(settings.log_format)
        _seed(settings, options, console)
    except PinlineError as error:
        sys.stdout.flush()
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the tables are as they were", file=sys.stderr)
        return 130
    return 0


def _seed(settings: Settings, options: argparse.Namespace, console: Console) -> None:
    source: Source
    if options.folder:
        files = csv_files.read(options.folder)
        for note in files.notes:
            console.print(f"note: {note}", markup=False, soft_wrap=True)
        source, total = files, sum(files.lines.values())
    else:
        source, total = Generated(options.events, options.seed), 3 * options.events
    where = f"{settings.rds_database} at {settings.rds_host}:{settings.rds_port}"
    started = time.monotonic()
    with Progress(
        TextColumn("seeding"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("seeding", total=total)
        loaded = load(settings, source, lambda rows: bar.advance(task, rows), if_empty=options.if_empty)
    seconds = time.monotonic() - started
    if loaded.already_there:
        what = "rows" if options.if_empty else "this data"
        console.print(
            f"{where} holds {what} already ({loaded.events:,} events): nothing to do", markup=False, soft_wrap=True
        )
    else:
        console.print(
            f"{where}: {loaded.events:,} events, {loaded.rows:,} rows in {seconds:.1f} s "
            f"({loaded.rows / seconds:,.0f} rows/s)",
            markup=False,
            soft_wrap=True,
        )


def _count(written: str) -> int:
    count = int(written)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{written} is not a positive number")
    return count


def _seed_number(written: str) -> int:
    number = int(written)
    if not 0 <= number < 2**64:
        raise argparse.ArgumentTypeError(f"{written} is not within 0..2^64-1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seed_data",
        description="Fill the source database with generated events, or with your own from CSV files.",
    )
    parser.add_argument(
        "--events", type=_count, default=generate.DEFAULT_EVENTS, help="how many events (default %(default)s)"
    )
    parser.add_argument("--seed", type=_seed_number, default=generate.DEFAULT_SEED, help="default %(default)s")
    parser.add_argument(
        "--from",
        dest="folder",
        type=Path,
        metavar="DIR",
        help="load pinterest_data.csv, geolocation_data.csv and user_data.csv from this folder instead",
    )
    parser.add_argument("--if-empty", action="store_true", help="do nothing if the tables hold rows, whatever they are")
    return parser
