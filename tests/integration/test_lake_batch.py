"""The batch against a real Connect server and a real S3: what ends in silver, in quarantine and in gold."""

import subprocess
import sys

import pytest

from lakehouse import batch, inspect, logs, published, rebuild, results, tables
from lakehouse.jobs import check, publish, questions, silver
from lakehouse.jobs.quality import QualityError
from lakehouse.lease import Lease, Process
from lakehouse.progress import Counts
from lakehouse.tables import Lake
from pinline.errors import PinlineError, StateError
from pinline.events import EVENTS, GEO, USER, EventType
from pinline.settings import Settings
from tests.e2e import oracle
from tests.fixtures.backends import MakeSettings
from tests.fixtures.lake import Row, many_rows, put_all, put_object, user_row

pytestmark = pytest.mark.integration


def users(settings: Settings) -> list[Row]:
    return sorted(inspect.silver(settings, "user").to_pylist(), key=lambda row: int(row["ind"]))


def quarantined(settings: Settings) -> list[tuple[int, str]]:
    return sorted((row["_line"], row["reason"]) for row in inspect.quarantine(settings)["user"].to_pylist())


def load(settings: Settings, event: EventType = USER) -> silver.Loaded:
    """Load what is new of one event, as the batch's step does."""
    lake = tables.open_lake(settings)
    tables.create(lake)
    return silver.load(lake, event, "a-run")


def measured(settings: Settings, event: str) -> dict[str, int]:
    """The rows of the last run, by what became of them."""
    rows = tables.open_lake(settings).read("ops.quality").where(f"event = '{event}' AND measure LIKE 'rows_%'")
    last = rows.orderBy("measured_at").collect()[-4:]
    return {row.measure: int(row.value) for row in last}


def test_silver_and_answers_equal_those_of_another_engine(lake_settings: Settings) -> None:
    rows = many_rows(400)
    put_all(lake_settings, rows)
    assert batch.run(lake_settings)
    database = oracle.of_rows(rows)
    answers = {question: oracle.ordered(found) for question, found in results.results(lake_settings).items()}
    assert answers == oracle.answers(database)
    for event in EVENTS:
        table = inspect.silver(lake_settings, event.name).drop(["_object", "_line"])
        names = ", ".join(f'"{name}"' for name in table.column_names)
        database.register("stored", table)
        moment = {"geo": "timestamp", "user": "date_joined"}.get(event.name)
        plain = f'REPLACE (CAST("{moment}" AS TIMESTAMP) AS "{moment}")' if moment else ""
        stored = f"SELECT {names} FROM (SELECT * {plain} FROM stored)"
        expected = f'SELECT {names} FROM "{event.name}"'
        assert (
            database.execute(f"({stored} EXCEPT ALL {expected}) UNION ALL ({expected} EXCEPT ALL {stored})").fetchall()
            == []
        )
    assert not batch.run(lake_settings)
    lake = tables.open_lake(lake_settings)
    tables.register(lake)
    user_rows = len(rows["user"])
    assert measured(lake_settings, "user") == {
        "rows_read": user_rows,
        "rows_inserted": user_rows,
        "rows_duplicate": 0,
        "rows_quarantined": 0,
    }
    assert lake.spark.sql("SELECT user_name FROM silver.user").count() == user_rows
    named = lake.spark.sql("SELECT * FROM gold.q4").collect()
    assert oracle.ordered([row.asDict() for row in named]) == answers["q4"]


def test_a_second_load_reads_only_what_is_new(lake_settings: Settings) -> None:
    put_object(lake_settings, USER, 0, [user_row(1), user_row(2)])
    assert load(lake_settings).counts == Counts(inserted=2)
    put_object(lake_settings, USER, 2, [user_row(3)], gzipped=True)
    put_object(lake_settings, USER, 0, [user_row(4)], partition=1)
    assert load(lake_settings).counts == Counts(inserted=2)
    assert [row["ind"] for row in users(lake_settings)] == [1, 2, 3, 4]
    assert load(lake_settings) == silver.Loaded()


def test_duplicates_change_no_row_of_silver_so_the_answers_stay(lake_settings: Settings) -> None:
    put_object(lake_settings, USER, 0, [user_row(1), user_row(1), user_row(2)])
    assert load(lake_settings).counts == Counts(inserted=2, duplicate=1)
    lake = tables.open_lake(lake_settings)
    before = users(lake_settings), published.last_changes(lake)
    put_object(lake_settings, USER, 3, [user_row(2, date_joined="2016-01-02 03:04:05"), user_row(1)])
    assert load(lake_settings).counts == Counts(duplicate=2)
    assert (users(lake_settings), published.last_changes(lake)) == before


def test_a_tables_commits_are_those_that_delta_tells_of(lake_settings: Settings) -> None:
    for offset in range(3):
        put_object(lake_settings, USER, offset, [user_row(offset)])
        load(lake_settings)
    lake = tables.open_lake(lake_settings)
    lake.sql("OPTIMIZE {table}", "silver.user").collect()
    told = lake.sql("DESCRIBE HISTORY {table}", "silver.user").collect()
    assert [row.operation for row in told] == ["OPTIMIZE", "MERGE", "MERGE", "MERGE", "CREATE TABLE"]
    found = list(logs.commits(lake.s3, lake.settings, "silver.user"))
    assert found == [logs.Commit(row.version, row.operation, row.operationMetrics or {}) for row in told]
    assert published.last_changes(lake)["user"] == told[1].version


def test_the_same_key_with_other_content_is_a_key_conflict_and_the_first_stays(lake_settings: Settings) -> None:
    second = put_object(lake_settings, USER, 0, [user_row(1, age=40)], partition=10)
    first = put_object(lake_settings, USER, 5, [user_row(7), user_row(1), user_row(1, age=30)], partition=2)
    load(lake_settings)
    assert [(row["ind"], row["age"], row["_object"], row["_line"]) for row in users(lake_settings)] == [
        (1, 20, first, 1),
        (7, 20, first, 0),
    ]
    put_object(lake_settings, USER, 0, [user_row(7, age=99)], partition=0)
    load(lake_settings)
    rows = inspect.quarantine(lake_settings)["user"].to_pylist()
    assert {(row["key"], row["reason"]) for row in rows} == {
        ("1", f"key conflict: {first} line 1 was first"),
        ("7", f"key conflict: {first} line 0 was first"),
    }
    assert {(row["_object"], row["_line"]) for row in rows} >= {(second, 0), (first, 2)}


def test_bad_lines_end_in_quarantine_and_the_run_goes_on(lake_settings: Settings) -> None:
    lines: list[object] = [
        user_row(1),
        '{"ind": 2, "first',
        "{}",
        user_row(3, age="20"),
        user_row(4, nickname="x"),
        {"ind": 5},
        user_row(6, date_joined="yesterday"),
        "",
        user_row(8),
    ]
    put_object(lake_settings, USER, 0, lines)
    load(lake_settings)
    assert [(row["ind"], row["_line"]) for row in users(lake_settings)] == [(1, 0), (8, 8)]
    assert quarantined(lake_settings) == [
        (1, "not JSON"),
        (2, "empty object"),
        (3, "wrong type: age is STRING, not integer"),
        (4, "unknown column: nickname"),
        (5, "missing column: first_name, last_name, age, date_joined"),
        (6, "unparseable date_joined: yesterday"),
        (7, "not JSON"),
    ]
    silver, rows = inspect.event_rows(lake_settings, 3)["user"]
    assert silver is None
    assert [row["raw"] for row in rows] == [
        '{"ind": 3, "first_name": "Ann", "last_name": "Lee", "age": "20", "date_joined": "2016-01-02T03:04:05"}'
    ]


def test_too_much_quarantine_stops_the_run_before_it_publishes(
    lake_settings: Settings, make_settings: MakeSettings
) -> None:
    put_object(lake_settings, USER, 0, [user_row(1)])
    assert batch.run(lake_settings)
    strict = lake_settings.model_copy(update={"quality_max_quarantined": 0.5})
    put_object(lake_settings, USER, 1, ["broken", "broken too", user_row(2)])
    for _ in range(2):  # it stays stopped, though the second run finds no new object
        with pytest.raises(QualityError, match=r"2 of 3 rows .* in quarantine"):
            batch.run(strict)
    assert batch.run(lake_settings)
    assert not batch.run(strict)


def test_many_small_objects_are_read_in_one_go(lake_settings: Settings) -> None:
    for ind in range(80):
        put_object(lake_settings, USER, ind, [user_row(ind)], partition=ind % 3)
    load(lake_settings)
    put_object(lake_settings, USER, 80, [user_row(80)])
    for ind in range(81, 160):
        put_object(lake_settings, USER, ind, [user_row(ind)], partition=ind % 3)
    assert load(lake_settings).counts == Counts(inserted=80)
    assert [row["ind"] for row in users(lake_settings)] == list(range(160))


def test_rebuild_finds_what_was_taken_from_silver(lake_settings: Settings) -> None:
    put_object(lake_settings, USER, 0, [user_row(1), "broken", user_row(2), user_row(2)])
    put_object(lake_settings, GEO, 0, ["{}"])
    load(lake_settings)
    load(lake_settings, GEO)
    before = users(lake_settings)
    lake = tables.open_lake(lake_settings)
    lake.sql("DELETE FROM {table} WHERE ind = 1", "silver.user")
    rebuild.empty(lake_settings)
    load(lake_settings)
    assert users(lake_settings) == before
    assert quarantined(lake_settings) == [(1, "not JSON")]


def test_a_run_names_the_holder_of_the_lease_and_takes_an_expired_one(lake_settings: Settings) -> None:
    lake = tables.open_lake(lake_settings)
    tables.create(lake)
    said: list[str] = []
    first, second = Lease(lake, "first", seconds=600), Lease(lake, "second")
    assert not first.acquire(wait_seconds=0, tell=said.append)
    first.pin({"pin": 1, "geo": 2, "user": 3})
    with pytest.raises(StateError, match="run first is at work since"):
        second.acquire(wait_seconds=0, tell=said.append)
    assert not Lease(lake, "first", seconds=0).acquire(wait_seconds=0, tell=said.append)
    assert first.pinned() == {"pin": 1, "geo": 2, "user": 3}
    assert not second.acquire(wait_seconds=0, tell=said.append)
    with pytest.raises(StateError, match="run first has no pinned silver versions"):
        first.pinned()
    second.release("done")
    assert {(row.run, row.state) for row in lake.read("ops.run").collect()} == {("first", "lost"), ("second", "done")}


def test_what_another_run_did_while_this_one_looked_is_not_done_again(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run has ended before this one asks for the lease."""
    looked = []

    def look(lake: Lake) -> check.Work:
        looked.append(real(lake))
        if len(looked) == 1:
            other = Lease(lake, "other")
            other.acquire(wait_seconds=0, tell=print)
            for event in EVENTS:
                silver.load(lake, event, other.run)
            questions.answer_if_needed(lake, other)
            publish.publish(lake, other)
        return looked[-1]

    real = check.look
    monkeypatch.setattr(check, "look", look)
    put_all(lake_settings, many_rows(10))
    assert not batch.run(lake_settings)
    assert [work.is_none for work in looked] == [False, True]
    runs = tables.open_lake(lake_settings).read("ops.run").collect()
    assert sorted((row.run.partition("-")[0], row.state) for row in runs) == [
        ("batch", "nothing new"),
        ("other", "done"),
    ]


def test_the_lease_of_a_dead_process_is_free_at_once(lake_settings: Settings) -> None:
    lake = tables.open_lake(lake_settings)
    tables.create(lake)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = Process.this().model_copy(update={"pid": ended.pid})
    assert not Lease(lake, "first", process=dead).acquire(wait_seconds=0, tell=print)
    assert not Lease(lake, "second", process=Process.this()).acquire(wait_seconds=0, tell=print)
    with pytest.raises(StateError, match="run second is at work since"):
        Lease(lake, "third").acquire(wait_seconds=0, tell=print)


def test_a_missing_bucket_and_an_empty_gold_are_explained(
    make_settings: MakeSettings, fresh_lake_settings: Settings
) -> None:
    missing = fresh_lake_settings.model_copy(update={"s3_bucket": "no-such-bucket"})
    missing.__dict__.pop("bucket", None)
    with pytest.raises(PinlineError, match=r"no bucket 'no-such-bucket' .* `make up` makes it"):
        batch.run(missing)
    with pytest.raises(StateError, match="Try: make batch"):
        results.results(fresh_lake_settings)
