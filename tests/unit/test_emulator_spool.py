"""What could not be sent stays on disk until it is."""

from pathlib import Path

import pytest

from emulator.delivery import Unsent
from emulator.rows import Record
from emulator.spool import Spool
from emulator.target import Failed
from pinline.events import GEO, PIN

pytestmark = pytest.mark.unit

ONE = Unsent(Record(PIN, "1", '{"index":1,"title":"ж🙂"}'.encode()), Failed("503"))
TWO = Unsent(Record(GEO, "2", b'{"ind":2}'), Failed("timeout"))


def test_a_spooled_record_comes_back_as_it_was(tmp_path: Path) -> None:
    assert Spool(tmp_path / "s").add([ONE, TWO]) == 2
    assert [entry.record for entry in Spool(tmp_path / "s").entries] == [ONE.record, TWO.record]


def test_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    spool.add([ONE, TWO])
    spool.sent(spool.entries[0].number)
    spool.flush()
    again = Spool(tmp_path / "s")
    assert [entry.record for entry in again.entries] == [TWO.record]
    again.add([ONE])
    assert [entry.record for entry in Spool(tmp_path / "s").entries] == [TWO.record, ONE.record]


def test_a_torn_last_line_spoils_no_other_entry(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path)
    spool.add([ONE])
    with path.open("ab") as file:
        file.write(b'{"id":1,"event":"ge')
    spool.add([TWO])
    assert [entry.record for entry in Spool(path).entries] == [ONE.record, TWO.record]
