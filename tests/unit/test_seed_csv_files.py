"""Own data is checked completely, and each problem is told with its place."""

from pathlib import Path

import pytest

from pinline.errors import DataError
from pinline.events import EVENTS
from seed_data import csv_files

pytestmark = pytest.mark.unit

GOOD = {
    "pin": (
        "index,unique_id,title,description,poster_name,follower_count,tag_list,is_image_or_video,image_src,downloaded,"
        "save_location,category\n"
        '7,u-7,"a title, with a comma","two\nlines",poster,12k,"a,b",image,http://x/y,1,/data/art,art\n'
    ),
    "geo": "country,ind,timestamp,latitude,longitude\nAruba,7,2022-01-01T02:26:50,-89.5,-154.567\n",
    "user": "ind,first_name,last_name,age,date_joined\n7,Ann,,34,2016-12-22 00:02:02\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good files."""
    for event in EVENTS:
        (tmp_path / csv_files.file_name(event)).write_text(GOOD[event.name], encoding="utf-8")
    return tmp_path


def append(folder: Path, table: str, text: str) -> None:
    with (folder / f"{table}.csv").open("a", encoding="utf-8") as file:
        file.write(text)


def problems(folder: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        csv_files.read(folder)
    return str(caught.value).splitlines()


def test_columns_are_found_by_name_and_both_date_forms_are_read(folder: Path) -> None:
    (chunk,) = csv_files.read(folder).chunks()
    assert [str(value) for value in chunk.geo[0]] == ["7", "2022-01-01 02:26:50", "-89.5", "-154.567", "Aruba"]
    assert chunk.pin[0][2:4] == ("a title, with a comma", "two\nlines")
    assert str(chunk.user[0][4]) == "2016-12-22 00:02:02"


def test_empty_field_is_null(folder: Path) -> None:
    (chunk,) = csv_files.read(folder).chunks()
    assert chunk.user[0][:4] == (7, "Ann", None, 34)


def test_file_with_a_byte_order_mark_is_read(folder: Path) -> None:
    (folder / "user_data.csv").write_text(GOOD["user"], encoding="utf-8-sig")
    assert csv_files.read(folder).lines["user"] == 1


@pytest.mark.parametrize(
    ("table", "line", "expected"),
    [
        ("user_data", "x,A,B,3,2016-12-22 00:02:02", "user_data.csv:3: ind: 'x' is not a 64-bit integer"),
        ("user_data", ",A,B,3,2016-12-22 00:02:02", "user_data.csv:3: ind: is empty, and it is the key"),
        (
            "user_data",
            "8,A,B,9223372036854775808,",
            "user_data.csv:3: age: '9223372036854775808' is not a 64-bit integer",
        ),
        ("user_data", "8,A,B,3.5,", "user_data.csv:3: age: '3.5' is not a 64-bit integer"),
        ("user_data", "7,A,B,3,", "user_data.csv:3: ind: 7 stands in line 2 already"),
        ("user_data", "8,A,B,3", "user_data.csv:3: -: 4 fields, expected 5"),
        ("user_data", "8,A,B,3,22/12/2016", "user_data.csv:3: date_joined: '22/12/2016': expected a time such as"),
        (
            "user_data",
            "8,A,B,3,2016-02-30 00:00:00",
            "user_data.csv:3: date_joined: '2016-02-30 00:00:00': day is out of",
        ),
        ("user_data", "8,A,B,3,0999-01-01 00:00:00", "user_data.csv:3: date_joined: '0999-01-01 00:00:00': MySQL"),
        ("user_data", "8,A,B,3,2016-12-22T00:02:02Z", "user_data.csv:3: date_joined:"),
        ("geolocation_data", "A,8,,90.5,0", "geolocation_data.csv:3: latitude: '90.5' is not within -90..90"),
        ("geolocation_data", "A,8,,0,-180.1", "geolocation_data.csv:3: longitude: '-180.1' is not within -180..180"),
        ("geolocation_data", "A,8,,nan,0", "geolocation_data.csv:3: latitude: 'nan' is not within"),
        ("geolocation_data", "A,8,,north,0", "geolocation_data.csv:3: latitude: 'north' is not a number"),
        # the record before it takes two lines
        ("pinterest_data", f"8,{'u' * 37},,,,,,,,,,", "pinterest_data.csv:4: unique_id: 37 characters, at most 36"),
        ("pinterest_data", f"8,u,{'é' * 32768},,,,,,,,,", "pinterest_data.csv:4: title: 65536 bytes, at most 65535"),
        ("pinterest_data", '8,u,"open', "pinterest_data.csv:3: -: not CSV here or soon after"),
    ],
)
def test_problem_is_told_with_file_line_and_column(folder: Path, table: str, line: str, expected: str) -> None:
    append(folder, table, line + "\n")
    first, problem, *others = problems(folder)
    assert first == "1 problems, nothing was loaded:"
    assert problem.startswith(expected)
    assert not others


def test_wrong_header_names_the_expected_columns(folder: Path) -> None:
    (folder / "user_data.csv").write_text("ind,name\n1,A\n")
    assert "user_data.csv:1: -: the header is 'ind,name', expected the columns ind,first_name" in problems(folder)[1]


def test_file_that_is_not_utf_8_is_refused(folder: Path) -> None:
    (folder / "user_data.csv").write_bytes(GOOD["user"].encode() + b"8,Ren\xe9,B,3,\n")
    assert problems(folder)[1].startswith("user_data.csv:")


def test_problems_of_all_files_are_listed_up_to_fifty(folder: Path) -> None:
    append(folder, "user_data", "".join(f"{key},A,B,old,\n" for key in range(100, 170)))
    append(folder, "geolocation_data", "A,8,,91,0\n")
    _first, *listed, rest = problems(folder)
    assert len(listed) == csv_files.SHOWN
    assert listed[0].startswith("geolocation_data.csv:3:")
    assert rest == "... and 21 more"


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "user_data.csv").unlink()
    with pytest.raises(DataError, match=r"has no user_data\.csv"):
        csv_files.read(folder)


def test_keys_that_a_table_lacks_are_allowed_and_told(folder: Path) -> None:
    append(folder, "user_data", "8,A,B,3,\n9,A,B,3,\n")
    files = csv_files.read(folder)
    assert files.notes == [
        "pinterest_data lacks 2 keys that another table has: 8, 9",
        "geolocation_data lacks 2 keys that another table has: 8, 9",
    ]
    assert [len(rows) for chunk in files.chunks() for rows in (chunk.pin, chunk.geo, chunk.user)] == [1, 1, 3]


def test_fingerprint_follows_the_content(folder: Path) -> None:
    before = csv_files.read(folder).fingerprint
    assert csv_files.read(folder).fingerprint == before
    append(folder, "user_data", "8,A,B,3,\n")
    assert csv_files.read(folder).fingerprint != before
