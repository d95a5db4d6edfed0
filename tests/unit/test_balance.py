"""Accounting on literal facts: each fault is found and named."""

from dataclasses import replace

import numpy as np
import pytest

from pinline.accounting.balance import NO_KEY, Acknowledged, Balance, Lake, ObjectLines, Partition, compare
from pinline.objects import ObjectRange

pytestmark = pytest.mark.unit


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# Kafka holds offsets 0..5: 2 is a null, 4 a dead letter; two objects hold the rest; key 7 was posted twice.
ACKNOWLEDGED = Acknowledged(frozenset({"7", "8", "9"}), 4)
KAFKA = {0: Partition(ints(0, 1, 2, 3, 4, 5), ints(2), ints(4))}
FIRST = ObjectLines("t+0+0000000000.json", 0, ObjectRange("id", 0, 2, 2), ints(7, 8))
SECOND = ObjectLines("t+0+0000000003.json", 0, ObjectRange("id", 3, 5, 2), ints(7, NO_KEY))
LAKE = Lake(
    ints(7, 8),
    {FIRST.key: [(0, 7), (1, 8)]},
    {SECOND.key: frozenset({1})},
    frozenset({"9"}),
)


def balance(
    acknowledged: Acknowledged = ACKNOWLEDGED,
    kafka: dict[int, Partition] | None = None,
    objects: tuple[ObjectLines, ...] = (FIRST, SECOND),
    lake: Lake = LAKE,
) -> Balance:
    return compare(acknowledged, "t", "id", kafka or KAFKA, objects, lake)


def test_everything_in_its_place_is_balanced() -> None:
    result = balance()
    assert result.balanced
    assert (result.kafka_records, result.ignored_nulls, result.dead_letters) == (6, 1, 1)
    assert (result.lines, result.silver, result.quarantined, result.duplicates) == (4, 2, 1, 1)
    assert result.resent_or_foreign == 2


def test_an_acknowledged_key_that_is_nowhere_is_named() -> None:
    result = balance(acknowledged=Acknowledged(frozenset({"7", "10", "9"}), 3))
    assert result.faults == {"missing_keys": ["10"]}


def test_a_deleted_object_is_named_with_its_offsets_and_the_silver_rows_that_came_from_it() -> None:
    result = balance(objects=(SECOND,))
    assert result.offsets_not_in_s3 == ["t partition 0 offset 0-1"]
    assert result.silver_rows_without_a_line == [f"{FIRST.key} is gone, 2 silver rows came from it: 7, 8"]


def test_a_deleted_silver_row_is_named_by_key_and_by_line() -> None:
    result = balance(lake=replace(LAKE, silver_keys=ints(7), silver_places={FIRST.key: [(0, 7)]}))
    assert result.faults == {"missing_keys": ["8"], "lines_not_in_lake": [f"{FIRST.key} line 1"]}


def test_a_key_that_stands_twice_in_silver_is_named() -> None:
    doubled = replace(
        LAKE, silver_keys=ints(7, 8, 7), silver_places={FIRST.key: [(0, 7), (1, 8)], SECOND.key: [(0, 7)]}
    )
    assert balance(lake=doubled).faults == {"keys_twice_in_silver": ["7"]}


def test_offsets_in_two_objects_are_named() -> None:
    overlap = replace(FIRST, range=ObjectRange("id", 0, 3, 2))
    assert balance(objects=(overlap, SECOND)).offsets_in_two_objects == ["t partition 0 offset 3"]


def test_a_record_that_kafka_holds_and_nothing_covers_is_named() -> None:
    longer = {0: Partition(ints(*range(10)), ints(2), ints(4))}
    assert balance(kafka=longer).offsets_not_in_s3 == ["t partition 0 offset 6-9"]


def test_an_object_with_a_line_too_few_is_named() -> None:
    torn = replace(FIRST, keys=ints(7))
    assert any("1 lines, its metadata says 2" in text for text in balance(objects=(torn, SECOND)).wrong_objects)


def test_a_dead_letter_that_became_a_line_after_all_is_no_fault() -> None:
    taken = replace(SECOND, range=ObjectRange("id", 3, 5, 3), keys=ints(7, 8, NO_KEY))
    lake = replace(LAKE, quarantine={SECOND.key: frozenset({2})})
    assert balance(objects=(FIRST, taken), lake=lake).balanced


def test_an_object_with_more_lines_than_kafka_has_records_is_named() -> None:
    more = replace(SECOND, range=ObjectRange("id", 3, 5, 4), keys=ints(7, 8, 8, NO_KEY))
    lake = replace(LAKE, quarantine={SECOND.key: frozenset({3})})
    assert balance(objects=(FIRST, more), lake=lake).wrong_objects


def test_an_object_of_an_earlier_topic_is_named_with_both_ids() -> None:
    foreign = replace(FIRST, range=ObjectRange("other", 0, 2, 2))
    assert any("other" in text and "id" in text for text in balance(objects=(foreign, SECOND)).wrong_objects)


def test_a_silver_row_that_names_a_line_of_another_event_is_named() -> None:
    moved = replace(LAKE, silver_places={FIRST.key: [(1, 7), (0, 8)]})
    assert len(balance(lake=moved).silver_rows_without_a_line) == 2


def test_offsets_that_kafka_has_let_go_of_are_no_fault() -> None:
    trimmed = {0: Partition(ints(3, 4, 5), ints(), ints(4))}
    assert balance(kafka=trimmed).balanced
