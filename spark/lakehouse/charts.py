"""Charts for notebooks, as SVG text: `displayHTML(charts.bars(rows, "country", "events"))`. No library is needed."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_BAR, _GAP, _LABELS, _WIDTH, _VALUES = 20, 6, 220, 460, 90
_COLOUR = "#2a78d6"


def bars(rows: Iterable[Any], label: str | Sequence[str], value: str, title: str = "", most: int = 30) -> str:
    """Return a chart of a horizontal bar a row: its text from the columns `label`, its length from `value`.

    `rows` are Spark's rows or dictionaries; those without a value are left out, of more than `most` the first stay.
    """
    names = [label] if isinstance(label, str) else list(label)
    found = [(" · ".join(str(row[name]) for name in names), row[value]) for row in rows if row[value] is not None]
    shown = found[:most]
    largest = max((number for _, number in shown), default=0) or 1
    lines = [_line(index, text, number, number / largest) for index, (text, number) in enumerate(shown)]
    height = (len(shown) or 1) * (_BAR + _GAP) + 34
    rest = f" (the first {most} of {len(found):,})" if len(found) > most else ""
    heading = f'<text x="0" y="16" font-weight="600">{escape(title + rest)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABELS + _WIDTH + _VALUES}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="currentColor" role="img" aria-label="{escape(title)}">'
        f"{heading}{''.join(lines) or _nothing()}</svg>"
    )


def _line(index: int, text: str, number: float, share: float) -> str:
    top = 28 + index * (_BAR + _GAP)
    middle = top + _BAR - 6
    short = text if len(text) <= 34 else f"{text[:33]}…"
    width = max(1, round(share * _WIDTH))
    return (
        f"<g><title>{escape(text)}: {number:,}</title>"
        f'<text x="{_LABELS - 8}" y="{middle}" text-anchor="end">{escape(short)}</text>'
        f'<rect x="{_LABELS}" y="{top}" width="{width}" height="{_BAR}" rx="2" fill="{_COLOUR}"/>'
        f'<text x="{_LABELS + width + 6}" y="{middle}">{number:,}</text></g>'
    )


def _nothing() -> str:
    return '<text x="0" y="44">no rows</text>'
