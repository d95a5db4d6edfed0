"""What the streaming job says of itself, and when it compacts: with a clock that the test moves."""

import json
import subprocess
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from lakehouse.progress import Counts
from lakehouse.stream.__main__ import alone
from lakehouse.stream.batch import Written
from lakehouse.stream.job import explain, run
from lakehouse.stream.metrics import Metrics
from lakehouse.stream.query import waiting
from lakehouse.stream.upkeep import Upkeep
from pinline.errors import StateError
from pinline.settings import Settings
from pyspark_kinesis.offsets import Position, StreamOffset, to_json

pytestmark = pytest.mark.unit

SETTINGS = Settings(_env_file=None)  # type: ignore[call-arg]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_job_is_ready_when_its_query_works_and_says_what_it_failed_of() -> None:
    metrics = Metrics()
    metrics.starting()
    assert (metrics.status()["ready"], metrics.status()["failing"]) == (False, False)
    metrics.idle(is_idle=True)
    assert not metrics.status()["ready"], "it has not asked for records yet"
    metrics.works()
    assert metrics.status()["ready"]
    metrics.failed("S3 is away")
    metrics.starting()
    assert metrics.status() | {"ready": False, "failing": True, "problem": "S3 is away"} == metrics.status()
    metrics.idle(is_idle=False)
    assert metrics.status()["failing"], "a query that only began to work may fail as before"
    metrics.written(Written({}, 0.5, None))
    assert metrics.status()["ready"]


def test_lag_is_the_age_of_what_was_written_last_while_more_waits() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    metrics.idle(is_idle=False)
    metrics.written(Written({"pin": Counts(inserted=590, duplicate=10)}, 1.5, 995.0, 998.0))
    clock.now = 1003.0
    status = metrics.status()
    assert (status["lag_seconds"], status["rows_per_second"], status["batch_seconds"]) == (5.0, 10.0, 1.5)
    metrics.idle(is_idle=True)
    assert metrics.status()["lag_seconds"] == 0.0
    clock.now = 1100.0
    assert metrics.status()["rows_per_second"] == 0.0


def test_records_that_were_fetched_ahead_of_the_last_batch_are_counted() -> None:
    def offset(**shards: tuple[str, int]) -> str:
        found = {name: Position(first="1", last=last, count=count) for name, (last, count) in shards.items()}
        return json.dumps(to_json({"pins": StreamOffset(1, found)}))

    end = offset(one=("5", 5), two=("7", 3))
    assert waiting(end, offset(one=("5", 5), two=("9", 2), three=("4", 4))) == 6
    assert waiting(end, end) == 0
    assert [waiting(end, None), waiting(end, "null"), waiting("null", end), waiting(None, end)] == [0, 0, 0, 0]
    metrics = Metrics()
    metrics.idle(is_idle=False)
    metrics.waiting(6)
    assert metrics.status()["lag_records"] == 6
    metrics.idle(is_idle=True)
    assert metrics.status()["lag_records"] == 0


def test_a_table_is_compacted_when_it_has_many_files_or_some_for_a_long_time() -> None:
    clock = Clock()
    upkeep = Upkeep(cast("Any", None), files=50, clock=clock)
    for _ in range(49):
        upkeep.added("stream.a")
    for _ in range(5):
        upkeep.added("stream.b")
    upkeep.added("stream.c")
    assert upkeep.due() == []
    upkeep.added("stream.a")
    assert upkeep.due() == ["stream.a"]
    clock.now += 1000
    assert upkeep.due() == ["stream.a", "stream.b"]


ERRORS = {
    "StreamRecreatedError": "make stream-reset",
    "OffsetError": "make stream-reset",
    "StreamNotFoundError": "`make up` makes the streams.",
    "AccessError": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "RequestError": "at 12:00.",
}


@pytest.mark.parametrize(("kind", "advice"), ERRORS.items())
def test_an_error_of_the_source_is_told_without_its_stack_and_with_what_to_do(kind: str, advice: str) -> None:
    text = (
        "[STREAM_FAILED] ... Traceback (most recent call last):\n"
        '  File "x.py", line 1, in y\n'
        f"pyspark_kinesis.errors.{kind}: something about the stream s at 12:00.\n"
        "\tat org.apache.spark\n"
        "=== Streaming Query ===\n"
        "Identifier: events [id = 1]"
    )
    told = explain(SETTINGS, OSError(text))
    assert told.startswith(f"pyspark_kinesis.errors.{kind}: something about the stream s at 12:00.")
    assert told.endswith(advice)
    assert "Traceback" not in told


def test_another_error_is_told_as_it_is() -> None:
    assert explain(SETTINGS, StateError("as it is")) == "as it is"
    assert explain(SETTINGS, OSError("no Python in it")) == "no Python in it"


class Stop(threading.Event):
    """Remembers how long it was waited for, and doesn't let anybody wait."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        return self.is_set()


def test_after_a_failure_the_query_runs_again_later_each_time_and_what_it_failed_of_is_shown() -> None:
    metrics, stop = Metrics(), Stop()
    failures: list[Exception] = [OSError(f"away {number}") for number in range(6)] + [StateError("damaged")]

    class Failing:
        def __init__(self, *_: object) -> None:
            pass

        def run(self, stop: threading.Event) -> None:
            if failures:
                raise failures.pop(0)
            assert metrics.status() | {"problem": "damaged", "failing": True} == metrics.status()
            stop.set()

    run(cast("Any", None), SETTINGS, metrics, stop, cast("Any", Failing))
    assert stop.pauses == [1, 2, 4, 8, 16, 30, 30]


def test_an_error_that_nobody_expects_ends_the_process() -> None:
    class Broken:
        def __init__(self, *_: object) -> None:
            pass

        def run(self, _: threading.Event) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(cast("Any", None), SETTINGS, Metrics(), Stop(), cast("Any", Broken))


def test_a_second_job_waits_until_the_jvm_of_a_killed_one_is_gone(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, pinline_data=tmp_path)  # type: ignore[call-arg]
    with alone(settings) as lock:
        jvm = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    with pytest.raises(StateError, match="another streaming job"), alone(settings, 0.2):
        pass
    jvm.kill()
    jvm.wait(10)
    with alone(settings, 5):
        pass
