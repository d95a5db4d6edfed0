"""The cleaning rules, on single records."""

import json
from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from lakehouse.cleaning import clean
from pinline.events import GEO, PIN, USER, EventType

pytestmark = pytest.mark.unit

A_PIN: dict[str, Any] = {
    "index": 7528,
    "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf",
    "title": "No Title Data Available",
    "description": "No description available Story format",
    "poster_name": "User Info Error",
    "follower_count": "User Info Error",
    "tag_list": "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e",
    "is_image_or_video": "multi-video(story page format)",
    "image_src": "Image src error.",
    "downloaded": 0,
    "save_location": "Local save in /data/mens-fashion",
    "category": "mens-fashion",
}
A_GEO: dict[str, Any] = {
    "ind": 7528,
    "timestamp": "2020-08-28T03:52:47",
    "latitude": -89.9787,
    "longitude": -173,
    "country": "Cote d'Ivoire",
}
A_USER: dict[str, Any] = {
    "ind": 7528,
    "first_name": "Abigail",
    "last_name": "Ali",
    "age": 20,
    "date_joined": "2015-10-24 11:23:51",
}
RECORDS = {PIN: A_PIN, GEO: A_GEO, USER: A_USER}


def cleaned(spark: SparkSession, event: EventType, *raws: str) -> list[Row]:
    lines = spark.createDataFrame(list(enumerate(raws)), "place int, raw string")
    return clean(lines, event).orderBy("place").collect()


def with_values(spark: SparkSession, event: EventType, **values: object) -> Row:
    return cleaned(spark, event, json.dumps(RECORDS[event] | values))[0]


def reasons(spark: SparkSession, event: EventType, *raws: str) -> list[str | None]:
    return [row.reason for row in cleaned(spark, event, *raws)]


def test_known_markers_become_null_and_the_path_loses_its_prefix(spark: SparkSession) -> None:
    row = cleaned(spark, PIN, json.dumps(A_PIN))[0].asDict()
    assert row == {
        "place": 0,
        "raw": json.dumps(A_PIN),
        "ind": 7528,
        "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf",
        "title": None,
        "description": None,
        "follower_count": None,
        "poster_name": None,
        "tag_list": None,
        "is_image_or_video": "multi-video(story page format)",
        "image_src": None,
        "save_location": "/data/mens-fashion",
        "category": "mens-fashion",
        "reason": None,
    }


@pytest.mark.parametrize("marker", ["No description available", "Untitled", "", "  ", "\t\n", "\u00a0"])
def test_descriptions_that_say_nothing_become_null(spark: SparkSession, marker: str) -> None:
    row = with_values(spark, PIN, description=marker)
    assert (row.description, row.reason) == (None, None)


@pytest.mark.parametrize("text", ["Untitled ", "no description available", "Image src error", "null", " x "])
def test_text_that_only_resembles_a_marker_stays(spark: SparkSession, text: str) -> None:
    assert with_values(spark, PIN, description=text).description == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("12", 12),
        ("124k", 124_000),
        ("2M", 2_000_000),
        ("1.2k", 1_200),
        ("1.005M", 1_005_000),
        ("4.35k", 4_350),
    ],
)
def test_follower_counts_are_exact_integers(spark: SparkSession, text: str, count: int) -> None:
    row = with_values(spark, PIN, follower_count=text)
    assert (row.follower_count, row.reason) == (count, None)


@pytest.mark.parametrize("text", ["12K", "2m", "1,200", "12.5", "1.2345k", "-5", "k", "many", "1e3", " 12", "12B"])
def test_follower_counts_that_are_not_understood_are_quarantined(spark: SparkSession, text: str) -> None:
    assert with_values(spark, PIN, follower_count=text).reason == f"unparseable follower_count: {text}"


def test_follower_count_beyond_an_int_is_quarantined(spark: SparkSession) -> None:
    assert with_values(spark, PIN, follower_count="2147483647").follower_count == 2147483647
    assert with_values(spark, PIN, follower_count="3000M").reason == "out of range: follower_count is 3000M"


def test_geo_gets_coordinates_and_a_timestamp(spark: SparkSession) -> None:
    row = with_values(spark, GEO)
    assert (row.ind, row.country, row.coordinates, row.reason) == (7528, "Cote d'Ivoire", [-89.9787, -173.0], None)
    assert row.timestamp == datetime(2020, 8, 28, 3, 52, 47)  # noqa: DTZ001  # Spark gives the session's zone, UTC


def test_user_gets_one_name_and_both_date_forms_are_read(spark: SparkSession) -> None:
    first, second = with_values(spark, USER), with_values(spark, USER, date_joined="2015-10-24T11:23:51")
    assert (first.user_name, first.age, first.date_joined) == (
        "Abigail Ali",
        20,
        datetime(2015, 10, 24, 11, 23, 51),  # noqa: DTZ001
    )
    assert first.date_joined == second.date_joined


@pytest.mark.parametrize(
    "text", ["2015-02-30 00:00:00", "24/10/2015", "2015-10-24", "2015:10:24 11:23:51", "2015-10-24 11:23:51Z", "soon"]
)
def test_dates_in_any_other_form_are_quarantined(spark: SparkSession, text: str) -> None:
    assert with_values(spark, USER, date_joined=text).reason == f"unparseable date_joined: {text}"


def test_json_null_is_a_null_but_not_for_the_key(spark: SparkSession) -> None:
    row = with_values(spark, USER, age=None, first_name=None, last_name=None, date_joined=None)
    assert (row.ind, row.user_name, row.age, row.date_joined, row.reason) == (7528, None, None, None, None)
    assert with_values(spark, USER, ind=None).reason == "key missing: ind is null"


def test_text_that_is_not_one_json_object_is_quarantined(spark: SparkSession) -> None:
    good = json.dumps(A_USER)
    raws = [
        good[:-5],
        "",
        "null",
        "[1]",
        "5",
        "{}",
        good + good,
        good + "] x",
        good + "} x",
        good + ",{}",
        "{'ind': 1}",
        good + " }",
        "5 }",
        '"text" }',
        "{]}",
    ]
    expected = ["not JSON"] * len(raws)
    expected[2:6] = ["not an object", "not an object", "not an object", "empty object"]
    assert reasons(spark, USER, *raws) == expected
    with_braces = [json.dumps(A_USER | {"first_name": name}) for name in ("}", "{", "{}", '"}')]
    assert reasons(spark, USER, good, f" {good}\r", f"{good}\n", *with_braces) == [None] * 7


def test_a_column_that_stands_twice_is_quarantined(spark: SparkSession) -> None:
    raw = json.dumps(A_USER)[:-1] + ', "age": 30}'
    assert reasons(spark, USER, raw) == ["not JSON: a column stands in it twice"]


def test_unknown_and_missing_columns_are_named(spark: SparkSession) -> None:
    unknown = json.dumps(A_USER | {"shoe size": 43, "x": 1})
    renamed = json.dumps({("index" if name == "ind" else name): value for name, value in A_USER.items()})
    assert reasons(spark, USER, unknown, renamed) == [
        "unknown column: shoe size, x",
        "missing column: ind; unknown column: index",
    ]


@pytest.mark.parametrize(
    ("event", "values", "reason"),
    [
        (USER, {"ind": "7"}, "wrong type: ind is STRING, not integer"),
        (USER, {"age": 20.5}, "wrong type: age is DECIMAL(3,1), not integer"),
        (USER, {"age": True}, "wrong type: age is BOOLEAN, not integer"),
        (USER, {"first_name": 5}, "wrong type: first_name is BIGINT, not string"),
        (USER, {"first_name": ["a"]}, "wrong type: first_name is ARRAY<STRING>, not string"),
        (USER, {"date_joined": 1445685831}, "wrong type: date_joined is BIGINT, not timestamp"),
        (
            GEO,
            {"latitude": "1.5", "longitude": {}},
            "wrong type: latitude is STRING, not number; wrong type: longitude is OBJECT<>, not number",
        ),
        (PIN, {"follower_count": 12}, "wrong type: follower_count is BIGINT, not string"),
        (PIN, {"index": 2**63}, f"out of range: index is {2**63}"),
        (USER, {"age": 151}, "out of range: age is 151"),
        (USER, {"age": -1}, "out of range: age is -1"),
        (GEO, {"latitude": 90.5}, "out of range: latitude is 90.5"),
    ],
)
def test_wrong_types_and_numbers_out_of_range_are_quarantined(
    spark: SparkSession, event: EventType, values: dict[str, object], reason: str
) -> None:
    assert with_values(spark, event, **values).reason == reason


def test_numbers_stay_as_they_were_sent(spark: SparkSession) -> None:
    sent = [0.1, -89.9787, 1e-7, 12.345678901234567, 3]
    rows = [with_values(spark, GEO, latitude=number) for number in sent]
    assert [row.coordinates[0] for row in rows] == sent
