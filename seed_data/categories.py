"""The thirteen categories: their contiguous blocks of rows, and what differs from one to the other."""

from dataclasses import dataclass

import numpy as np

from seed_data.draws import Ints

REFERENCE_EVENTS = 11_154
"""Rows of the course's database; the blocks below are its own."""


@dataclass(frozen=True)
class Category:
    """One category."""

    name: str
    first: int
    """Its first row of REFERENCE_EVENTS."""
    median_followers: int
    not_image: float
    """Share of videos of both kinds."""
    frequent: float
    """Share of rows by the few posters who post often."""


CATEGORIES = (
    Category("art", 0, 44_000, 0.070, 0.33),
    Category("beauty", 894, 23_000, 0.125, 0.33),
    Category("christmas", 1_638, 40_000, 0.070, 0.28),
    Category("diy-and-crafts", 2_637, 89_000, 0.320, 0.40),
    Category("education", 3_467, 31_000, 0.020, 0.33),
    Category("event-planning", 4_330, 6_000, 0.160, 0.28),
    Category("finance", 5_077, 17_000, 0.070, 0.33),
    Category("home-decor", 5_866, 33_000, 0.070, 0.33),
    Category("mens-fashion", 6_727, 3_000, 0.070, 0.24),
    Category("quotes", 7_579, 163_000, 0.070, 0.45),
    Category("tattoos", 8_486, 190_000, 0.020, 0.55),
    Category("travel", 9_459, 16_000, 0.125, 0.28),
    Category("vehicles", 10_315, 3_500, 0.070, 0.14),
)
NAMES = tuple(category.name for category in CATEGORIES)


def starts(events: int) -> Ints:
    """Return the first row of each category and, last, `events`: the blocks scaled to that many rows."""
    firsts = [category.first * events // REFERENCE_EVENTS for category in CATEGORIES]
    return np.array([*firsts, events], dtype=np.int64)
