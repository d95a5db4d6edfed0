"""The generator writes the dirty values that the cleaning rules know, and no others."""

import pytest

from lakehouse.cleaning import MARKERS
from pinline.events import PIN
from seed_data import generate

pytestmark = pytest.mark.unit


def test_every_marker_of_the_cleaning_rules_stands_in_the_generated_rows() -> None:
    positions = {name: PIN.column_names.index(name) for name in MARKERS}
    found: dict[str, set[str]] = {name: set() for name in MARKERS}
    for chunk in generate.rows():
        for row in chunk.pin:
            for name, position in positions.items():
                if row[position] in MARKERS[name]:
                    found[name].add(row[position])
    assert found == {name: set(markers) for name, markers in MARKERS.items()}
