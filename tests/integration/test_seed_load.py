"""Seeding a real database, with a real S3 that remembers what was loaded."""

import csv
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from pinline.aws import s3_client
from pinline.errors import DataError, StateError, UnreachableError
from pinline.events import EVENTS
from pinline.mysql import admin_engine, reader_engine
from pinline.settings import Settings
from seed_data import csv_files, generate, tables
from seed_data.bulk import BulkWriter
from seed_data.cli import Generated, main
from seed_data.load import load

pytestmark = pytest.mark.integration

EVENTS_HERE = 600


@pytest.fixture
def settings(mysql_server: dict[str, Any], s3_endpoint: str, make_settings: Any) -> Settings:
    """An empty database and an empty bucket."""
    made: Settings = make_settings(**mysql_server, aws_endpoint_url_s3=s3_endpoint)
    engine = admin_engine(made)
    with engine.begin() as connection:
        tables.METADATA.drop_all(connection)
        tables.STAGING_METADATA.drop_all(connection)
    engine.dispose()
    s3_client(made).create_bucket(Bucket=made.bucket)
    return made


def stored(settings: Settings, event: str) -> list[tuple[Any, ...]]:
    """What the reading user sees in a table, by key."""
    engine = reader_engine(settings)
    table = tables.TABLES[event]
    with engine.connect() as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key)).all()
    engine.dispose()
    return [tuple(row) for row in rows]


def generated(event: str, seed: int = 1) -> list[tuple[Any, ...]]:
    return [row for chunk in generate.rows(EVENTS_HERE, seed) for row in chunk.rows(event)]  # type: ignore[arg-type]


@pytest.mark.parametrize("event", ["pin", "geo", "user"])
def test_tables_hold_exactly_what_was_generated(settings: Settings, event: str) -> None:
    told: list[int] = []
    loaded = load(settings, Generated(EVENTS_HERE, 1), told.append)
    assert (loaded.events, loaded.rows, sum(told)) == (EVENTS_HERE, 3 * EVENTS_HERE, 3 * EVENTS_HERE)
    assert stored(settings, event) == generated(event)


def test_a_second_load_of_the_same_data_does_nothing(settings: Settings) -> None:
    load(settings, Generated(EVENTS_HERE, 1))
    again = load(settings, Generated(EVENTS_HERE, 1))
    assert again.already_there
    assert (again.rows, again.events) == (0, EVENTS_HERE)


def test_another_seed_replaces_the_data_while_no_event_is_stored(settings: Settings) -> None:
    load(settings, Generated(EVENTS_HERE, 1))
    load(settings, Generated(EVENTS_HERE, 2))
    assert stored(settings, "pin") == generated("pin", seed=2)
    engine = admin_engine(settings)
    assert set(inspect(engine).get_table_names()) == {*(event.table for event in EVENTS), "pinline_seed"}
    engine.dispose()


def test_command_loads_then_says_that_there_is_nothing_to_do_then_refuses_another_seed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PINLINE_ENV_FILE", "no-such-file")
    for name, value in settings.model_dump(exclude_unset=True).items():
        shown = value.get_secret_value() if isinstance(value, SecretStr) else value
        monkeypatch.setenv(name.upper(), str(shown))
    assert main(["--events", "300"]) == 0
    assert "300 events, 900 rows" in capsys.readouterr().out
    assert main(["--events", "300"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    s3_client(settings).put_object(Bucket=settings.bucket, Key="topics/x", Body=b"{}")
    assert main(["--events", "300", "--seed", "77"]) == 1
    assert "make reset" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["topics/x.pin/partition=0/x.pin+0+0000000000.json", "lake/silver/pin/part-0.parquet"])
def test_another_seed_is_refused_while_events_of_the_first_are_stored(settings: Settings, key: str) -> None:
    load(settings, Generated(EVENTS_HERE, 1))
    s3_client(settings).put_object(Bucket=settings.bucket, Key=key, Body=b"{}")
    with pytest.raises(StateError, match=r"seed=1 events=600 .*make reset"):
        load(settings, Generated(EVENTS_HERE, 2))
    assert stored(settings, "pin") == generated("pin", seed=1)
    assert load(settings, Generated(EVENTS_HERE, 1)).already_there


def test_missing_bucket_is_named_before_anything_is_loaded(settings: Settings) -> None:
    without = settings.model_copy(update={"s3_bucket": "no-such-bucket-here"})
    without.__dict__.pop("bucket", None)
    with pytest.raises(StateError, match="no-such-bucket-here does not exist"):
        load(without, Generated(EVENTS_HERE, 1))


def test_unreachable_systems_are_named_with_their_setting(settings: Settings) -> None:
    nobody = settings.model_copy(update={"rds_port": 1})
    with pytest.raises(UnreachableError, match=r"MySQL at 127\.0\.0\.1:1 \(RDS_HOST, RDS_PORT\)"):
        load(nobody, Generated(EVENTS_HERE, 1))
    nothing = settings.model_copy(update={"aws_endpoint_url_s3": "http://127.0.0.1:1"})
    with pytest.raises(UnreachableError, match="AWS_ENDPOINT_URL_S3"):
        load(nothing, Generated(EVENTS_HERE, 1))


def test_a_load_that_dies_leaves_the_tables_as_they_were(settings: Settings) -> None:
    load(settings, Generated(EVENTS_HERE, 1))

    class Dying:
        fingerprint = "dying"

        def chunks(self) -> Iterator[generate.Chunk]:
            yield from generate.rows(EVENTS_HERE, 2, 100)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        load(settings, Dying())
    assert stored(settings, "pin") == generated("pin", seed=1)
    load(settings, Generated(EVENTS_HERE, 2))
    assert stored(settings, "user") == generated("user", seed=2)


def test_two_loads_at_once_are_kept_apart(settings: Settings) -> None:
    engine = admin_engine(settings)
    with engine.connect() as connection:
        assert connection.scalar(text(f"SELECT GET_LOCK('pinline_seed.{settings.rds_database}', 0)"))
        with pytest.raises(StateError, match="another load is running"):
            load(settings, Generated(EVENTS_HERE, 1))
    engine.dispose()


def test_the_reading_user_cannot_write(settings: Settings) -> None:
    load(settings, Generated(EVENTS_HERE, 1))
    engine = reader_engine(settings)
    for statement in (
        "DELETE FROM pinterest_data", "INSERT INTO user_data (ind) VALUES (-1)", "UPDATE user_data SET age = 1",
        "DROP TABLE geolocation_data", "CREATE TABLE other (x INT)",
    ):  # fmt: skip
        with engine.connect() as connection, pytest.raises(DBAPIError, match="denied"):
            connection.execute(text(statement))
    engine.dispose()


def test_reader_that_does_not_exist_is_only_a_warning(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    other = settings.model_copy(update={"rds_user": "nobody_here"})
    with caplog.at_level(logging.WARNING):
        assert load(other, Generated(EVENTS_HERE, 1)).events == EVENTS_HERE


def test_rows_are_inserted_where_the_server_refuses_local_files(settings: Settings) -> None:
    engine = admin_engine(settings, connect_args={"local_infile": True})
    with engine.begin() as connection:
        tables.STAGING_METADATA.create_all(connection)
    admin = engine.url.set()
    refusing = create_engine(admin, connect_args={"local_infile": False})
    with BulkWriter(refusing) as writer:
        for event in EVENTS:
            writer.write(tables.STAGING[event.name], generated(event.name))
        assert not writer.local_infile
        writer.commit()
    with refusing.connect() as connection:
        for event in EVENTS:
            table = tables.STAGING[event.name]
            rows = connection.execute(select(table).order_by(*table.primary_key)).all()
            assert [tuple(row) for row in rows] == generated(event.name)
    refusing.dispose()
    engine.dispose()


def write_files(folder: Path, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    folder.mkdir(exist_ok=True)
    for event in EVENTS:
        with (folder / csv_files.file_name(event)).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(event.column_names)
            writer.writerows(rows[event.name])


def test_only_an_empty_database_is_filled_if_that_is_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pinline.settings.load", lambda: settings)
    assert main(["--events", "300", "--if-empty"]) == 0
    assert len(stored(settings, "pin")) == 300
    assert main(["--events", "400", "--seed", "77", "--if-empty"]) == 0
    assert len(stored(settings, "pin")) == 300
    assert "holds rows already (300 events): nothing to do" in capsys.readouterr().out


def test_rows_of_one_table_are_enough_for_a_database_that_is_not_empty(settings: Settings) -> None:
    engine = admin_engine(settings)
    with engine.begin() as connection:
        assert tables.is_empty(connection)
        tables.TABLES["user"].create(connection)
        assert tables.is_empty(connection)
        connection.execute(tables.TABLES["user"].insert().values(ind=1))
    with engine.connect() as connection:
        assert not tables.is_empty(connection)
    engine.dispose()
    assert load(settings, Generated(EVENTS_HERE, 1), if_empty=True).already_there


def test_own_files_come_back_as_they_were_written(settings: Settings, tmp_path: Path) -> None:
    rows: dict[str, list[tuple[Any, ...]]] = {event.name: generated(event.name) for event in EVENTS}
    awkward = "a\ttab, a\nnew line, a \\N, a \"quote\", a 'quote' and 100 % 🎄"
    rows["pin"][3] = (3, None, awkward, "\\N", None, "12", "\\", "image", None, None, None, "art")
    rows["pin"][4] = (-(2**63), *rows["pin"][4][1:])
    write_files(tmp_path / "own", rows)
    files = csv_files.read(tmp_path / "own")
    loaded = load(settings, files)
    assert loaded.events == EVENTS_HERE
    for event in EVENTS:
        assert stored(settings, event.name) == sorted(rows[event.name], key=lambda row: row[0])
    assert load(settings, csv_files.read(tmp_path / "own")).already_there
    assert len(files.notes) == 3


def test_broken_files_load_nothing(settings: Settings, tmp_path: Path) -> None:
    load(settings, Generated(EVENTS_HERE, 1))
    rows: dict[str, list[tuple[Any, ...]]] = {event.name: generated(event.name, seed=2) for event in EVENTS}
    rows["user"][-1] = (*rows["user"][-1][:3], "young", rows["user"][-1][4])
    write_files(tmp_path / "own", rows)
    with pytest.raises(DataError, match=r"user_data\.csv:601: age: 'young' is not a 64-bit integer"):
        load(settings, csv_files.read(tmp_path / "own"))
    assert stored(settings, "user") == generated("user", seed=1)


def test_files_that_change_while_they_are_loaded_are_refused(settings: Settings, tmp_path: Path) -> None:
    load(settings, Generated(EVENTS_HERE, 1))
    rows: dict[str, list[tuple[Any, ...]]] = {event.name: generated(event.name, seed=2) for event in EVENTS}
    write_files(tmp_path / "own", rows)
    files = csv_files.read(tmp_path / "own")
    write_files(tmp_path / "own", {name: found[:-1] for name, found in rows.items()})
    with pytest.raises(DataError, match="changed while they were loaded"):
        load(settings, files)
    assert stored(settings, "user") == generated("user", seed=1)
