"""`python -m bench`: measure the parts, each beside its peers in the same run.

Every part has real services of its own, on free ports in a temporary folder; all are ended afterwards.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from bench import batch, batches, dag, emulator, gateway, large, scale, sink, stack, stream, stream_source
from bench.figures import FULL, SMALL, Row, Size, shown, table
from pinline.settings import Settings

PARTS: dict[str, Callable[[Path, Size], Iterator[Row]]] = {
    "emulator": emulator.rows,
    "gateway": gateway.rows,
    "batches": batches.rows,
    "sink": sink.rows,
    "sink-one": sink.one_record_rows,
    "batch": batch.rows,
    "dag": dag.rows,
    "stack": stack.rows,
    "source": stream_source.rows,
    "stream": stream.rows,
    "stream-catch-up": stream.catch_up_rows,
    "large": large.rows,
    "scale": scale.rows,
}
_ONLY_BY_NAME = {"large", "scale", "stream", "stream-catch-up"}


def main() -> int:
    """Measure; return 1 if a part could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    left_out = ", ".join(sorted(_ONLY_BY_NAME))
    parser.add_argument(
        "--only", default="", help=f"parts, with commas: {', '.join(PARTS)}. By default all but {left_out}"
    )
    parser.add_argument("--small", action="store_true", help="try whether it runs; the figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    arguments = parser.parse_args()
    wanted = [name.strip() for name in arguments.only.split(",") if name.strip()] or PARTS.keys() - _ONLY_BY_NAME
    if unknown := sorted(set(wanted) - PARTS.keys()):
        parser.error(f"unknown part {', '.join(unknown)}. Valid: {', '.join(PARTS)}")
    # what is measured has the settings of a fresh checkout, whatever the shell exports
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)
    # so that services end too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    rows: list[Row] = []
    failed = []
    load = os.getloadavg()[0]
    begun = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="pinline-bench-") as folder:
        for part in [name for name in PARTS if name in wanted]:
            console.rule(part, align="left")
            try:
                for row in PARTS[part](Path(folder, part), SMALL if arguments.small else FULL):
                    rows.append(row)
                    peer = f"; {row.peer}: {shown(row.peer_figure)}" if row.peer else ""
                    console.print(f"{row.what}: {shown(row.figure)} {row.unit}{peer}", markup=False)
            except (Exception, pytest.fail.Exception) as error:  # the fixtures fail as tests do
                failed.append(part)
                console.print(f"{part} could not be measured: {type(error).__name__}: {error}", markup=False)
    title = f"{begun:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {load:.1f} before"
    console.print(table(rows, title + (", SMALL: the figures mean nothing" if arguments.small else "")))
    if arguments.json:
        content = {"at": begun.isoformat(), "cores": os.cpu_count(), "load_before": load, "small": arguments.small}
        content |= {"failed": failed, "rows": [row.as_fields() for row in rows]}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
