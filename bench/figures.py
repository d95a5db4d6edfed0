"""What a measurement says: a figure, its peer's in the same run, their ratio, the goal."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    seconds: float
    """Of a load over HTTP."""
    records: int
    """In the topics that the sink drains, and in the producers' hands."""
    one_record_objects: int
    events: int
    """In the database: three records each."""
    large: tuple[int, int]
    """Records of the two runs whose cost a record is compared."""
    stream_events: int
    """In the database, for the streaming path: each is posted once."""
    stream_seconds: int
    """Of its long load."""


FULL = Size(8, 300_000, 3_000, 11_154, (300_000, 3_000_000), 400_000, 600)
SMALL = Size(1, 9_000, 150, 600, (3_000, 9_000), 12_000, 20)
"""For trying whether everything runs; its figures mean nothing."""


@dataclass(frozen=True)
class Goal:
    """What is to be reached; all that is given has to hold."""

    ratio: float | None = None
    """To the peer, at least."""
    most_ratio: float | None = None
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        """Such as `≥ 0.25×, ≥ 100,000`."""
        parts = ((self.ratio, "≥ {}×"), (self.most_ratio, "≤ {}×"), (self.least, "≥ {}"), (self.most, "≤ {}"))
        return ", ".join(form.format(shown(value)) for value, form in parts if value is not None)


@dataclass(frozen=True)
class Row:
    """One figure."""

    part: str
    what: str
    figure: float
    unit: str
    peer: str = ""
    peer_figure: float | None = None
    goal: Goal = Goal()
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure in multiples of the peer's."""
        return self.figure / self.peer_figure if self.peer_figure else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None if there is none."""
        held = []
        for value, limit, sign in (
            (self.ratio, self.goal.ratio, 1),
            (self.ratio, self.goal.most_ratio, -1),
            (self.figure, self.goal.least, 1),
            (self.figure, self.goal.most, -1),
        ):
            if limit is not None:
                held.append(value is not None and sign * value >= sign * limit)
        return all(held) if held else None

    def as_fields(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {**asdict(self), "goal": str(self.goal), "ratio": self.ratio, "met": self.met}


def shown(value: float | None) -> str:
    """Return a number with three digits that count, thousands parted."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(rows: Iterable[Row], title: str) -> Table:
    """Return the rows as a table."""
    made = Table(title=title, title_justify="left")
    for name in ("part", "what", "figure", "peer", "its figure", "ratio", "goal", "met", "note"):
        made.add_column(name, justify="right" if name in ("figure", "its figure", "ratio") else "left")
    for row in rows:
        ratio = "" if row.ratio is None else f"{shown(row.ratio)}×"
        met = {True: "yes", False: "[red]no[/]", None: ""}[row.met]
        figure = f"{shown(row.figure)} {row.unit}"
        made.add_row(row.part, row.what, figure, row.peer, shown(row.peer_figure), ratio, str(row.goal), met, row.note)
    return made
