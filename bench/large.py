"""Many records through the whole stack: the cost of each at two sizes, and what services grow to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.batch import batch, post
from bench.figures import Goal, Row, Size
from bench.processes import watching
from pinline.events import EVENTS
from tests.fixtures.backends import BATCH_PATH, embedded_stack

_WATCHED = {"spark": 3 * 1024, "sink": 300, "gateway": 250}
"""Megabytes that each may grow to."""


@dataclass(frozen=True)
class Run:
    """One size: seconds of the parts, megabytes of the services."""

    records: int
    seconds: dict[str, float]
    steps: str
    megabytes: dict[str, int]


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield seconds a million records at the larger size beside the smaller, the batch's seconds, and the memory."""
    runs = []
    for records in size.large:
        runs.append(run(folder / str(records), records))
        shown = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in runs[-1].seconds.items())
        yield Row(
            "large", f"{records:,} records, batch", runs[-1].seconds["batch"], "s", goal=Goal(most=600), note=shown
        )
    small, big = runs
    for part in big.seconds:
        each = [one.seconds[part] / one.records * 1e6 for one in (small, big)]
        what = f"{part}, a million of {big.records:,}"
        goal = Goal(most_ratio=1.3) if part == "batch" else Goal()
        yield Row(
            "large", what, each[1], "s", f"of {small.records:,}", each[0], goal, big.steps if goal.most_ratio else ""
        )
    for service, most in _WATCHED.items():
        yield Row("large", f"{service}, memory at its peak", big.megabytes[service], "MB", goal=Goal(most=most))


def run(folder: Path, records: int) -> Run:
    """Take that many records from the database to the answers, by a stack of its own."""
    events = records // len(EVENTS)
    with embedded_stack(folder, *BATCH_PATH) as stack:
        stack.run("-m", "seed_data", "--events", str(events), seconds=1800)
        # a service that is started again has another pid
        pids = [lambda name=service: stack.pid(name) for service in _WATCHED]
        with watching(pids) as peaks:
            posted, waited = post(stack, events)
            spent, steps = batch(stack)
        seconds = {"posting": posted, "into S3 afterwards": waited, "batch": spent}
        return Run(records, seconds, steps, {s: p.megabytes for s, p in zip(_WATCHED, peaks, strict=True)})
