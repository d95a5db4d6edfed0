"""Which events come, and how far they are done."""

from pathlib import Path

import pytest

from emulator import files
from emulator.draws import RandomSequence, TableSequence
from emulator.latency import Latencies
from emulator.position import Position
from pinline.errors import StateError

pytestmark = pytest.mark.unit


def test_seed_100_gives_the_events_that_everybody_sees_first() -> None:
    drawn = RandomSequence().take(10)
    assert [draw.index for draw in drawn] == [7528, 2863, 5730, 8304, 8731, 1313, 4315, 10794, 5494, 5069]
    assert {draw.pause for draw in RandomSequence().take(100)} == {0, 1}


def test_a_random_sequence_goes_on_where_it_is_told() -> None:
    whole = RandomSequence(7, 50).take(30)
    later = RandomSequence(7, 50)
    later.seek(12)
    assert later.take(5) + later.take(13) == whole[12:]


def test_the_sequential_order_skips_gaps_and_ends_with_the_table() -> None:
    keys = [0, 1, 5, 6, 9]
    sequence = TableSequence(lambda first, size: [key for key in keys if key >= first][:size])
    sequence.seek(1)
    assert [[draw.index for draw in sequence.take(2)] for _ in range(3)] == [[1, 5], [6, 9], []]


def test_the_position_stays_before_the_lowest_undone_event(tmp_path: Path) -> None:
    position = Position(tmp_path, "p")
    for number in (3, 5, 6, 9):
        position.begin(number)
    position.finish(5)
    position.finish(6)
    assert position.next == 0
    position.finish(3)
    assert position.next == 7
    position.finish(9)
    assert position.next == 10


def test_events_done_above_the_mark_are_not_posted_again_after_a_kill(tmp_path: Path) -> None:
    killed = Position(tmp_path, "p")
    for number in range(4):
        killed.begin(number)
    killed.finish(0)
    killed.finish(2)
    killed.save()

    resumed = Position(tmp_path, "p")
    assert resumed.next == 1
    assert [number for number in range(1, 6) if resumed.begin(number)] == [1, 3, 4, 5]
    for number in (1, 3, 4, 5):
        resumed.finish(number)
    assert resumed.next == 6


def test_a_torn_position_falls_back_on_its_forced_copy(tmp_path: Path) -> None:
    position = Position(tmp_path, "p")
    position.begin(0)
    position.finish(0)
    position.checkpoint()
    (tmp_path / "p.json").write_bytes(b'{"next": 4, "do')
    assert Position(tmp_path, "p").next == 1


def test_a_position_that_cannot_be_read_is_an_error_unless_one_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_bytes(b"")
    with pytest.raises(StateError, match="--restart"):
        Position(tmp_path, "p")
    assert Position(tmp_path, "p", anew=True).next == 0


def test_a_second_emulator_in_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    with files.only_process(tmp_path), pytest.raises(StateError, match=r"process \d+"), files.only_process(tmp_path):
        pass
    with files.only_process(tmp_path):
        pass


def test_percentiles_are_within_two_percent() -> None:
    latencies = Latencies()
    for millisecond in range(1, 1001):
        latencies.add(millisecond / 1000)
    assert latencies.percentile(0.5) == pytest.approx(0.5, rel=0.02)
    assert latencies.percentile(0.99) == pytest.approx(0.99, rel=0.02)
    assert Latencies().percentile(0.5) is None
