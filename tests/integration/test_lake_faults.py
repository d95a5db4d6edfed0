"""The batch killed between its writes, and two of it at once: real processes against a real server."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lakehouse import batch, inspect, results, tables
from pinline.events import EVENT_BY_NAME, GEO, PIN, USER
from pinline.objects import object_key
from pinline.settings import Settings
from tests.fixtures.lake import environment, put_object

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(1200)]

KILLED = -9
MOMENTS = [
    "lease",
    "quarantine:user",
    "silver:user",
    "progress:user",
    "pin",
    "gold_next",
    "quality",
    "gold:q6",
    "gold",
    "published",
    "release",
]
LEFT_BEHIND = MOMENTS[4:-1]
"""Moments that a run comes to without a new event: the one before left answers that are older than silver."""


def put_event(settings: Settings, ind: int, category: str = "art") -> None:
    pin: dict[str, Any] = dict.fromkeys(PIN.column_names, "text")
    pin |= {"index": ind, "downloaded": 1, "follower_count": "2k", "category": category}
    geo = {"ind": ind, "timestamp": "2020-01-02T03:04:05", "latitude": 1.5, "longitude": 2.5, "country": "Niue"}
    user = {"ind": ind, "first_name": "Ann", "last_name": "Lee", "age": 20, "date_joined": "2016-01-02T03:04:05"}
    put_object(settings, PIN, ind, [pin])
    put_object(settings, GEO, ind, [geo])
    put_object(settings, USER, ind, [user, user, user | {"age": 21}, "broken"])


def process(settings: Settings, **more: Any) -> subprocess.Popen[str]:
    values = {
        "user_id": settings.user_id,
        "pinline_data": settings.pinline_data,
        "aws_endpoint_url_s3": settings.aws_endpoint_url_s3,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "spark_remote": settings.spark_remote,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "lakehouse.batch"],
        env=environment(values | more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def is_right(settings: Settings, events: int) -> None:
    """Silver, quarantine and gold hold exactly `events` events."""
    for event in (PIN, GEO, USER):
        rows = inspect.silver(settings, event.name).to_pylist()
        assert sorted((row["ind"], row["_line"]) for row in rows) == [(ind, 0) for ind in range(events)]
    quarantine = inspect.quarantine(settings)
    assert sorted((row["_object"], row["_line"]) for row in quarantine["user"].to_pylist()) == [
        (object_key(USER.topic(settings.user_id), 0, ind), line) for ind in range(events) for line in (2, 3)
    ]
    answers = results.results(settings)
    assert answers["q1"] == [{"country": "Niue", "category": "art", "category_count": events}]
    assert answers["q6"] == [{"join_year": 2016, "number_users_joined": 1}]


def test_what_kills_after_writes_leave_is_repaired_by_the_next_run(lake_settings: Settings) -> None:
    """Kills in turn: each run meets what the one before left, gets further, and leaves what it did to the next."""
    events = 0
    for moment in MOMENTS:
        if moment not in LEFT_BEHIND:
            put_event(lake_settings, events)
            events += 1
        killed = process(lake_settings, pinline_fault=f"after:{moment}")
        output, _ = killed.communicate(timeout=900)
        assert killed.returncode == KILLED, (moment, output)
    batch.run(lake_settings)
    is_right(lake_settings, events)
    assert not batch.run(lake_settings)


@pytest.mark.parametrize("turn", range(2))
def test_tables_that_several_runs_create_at_once_are_created(fresh_lake_settings: Settings, turn: int) -> None:
    lake = tables.open_lake(fresh_lake_settings)
    with ThreadPoolExecutor(6) as pool:
        for created in [pool.submit(tables.create, lake) for _ in range(6)]:
            created.result()
    assert tables.existing(lake, "silver") == set(EVENT_BY_NAME)


def test_two_batches_at_once_end_right(fresh_lake_settings: Settings) -> None:
    for ind in range(3):
        put_event(fresh_lake_settings, ind)
    both = [process(fresh_lake_settings), process(fresh_lake_settings)]
    outputs = [one.communicate(timeout=900)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], outputs
    is_right(fresh_lake_settings, 3)
    assert not batch.run(fresh_lake_settings)
    runs = tables.open_lake(fresh_lake_settings).read("ops.run").collect()
    assert sorted(row.state for row in runs) in (["done"], ["done", "nothing new"])
