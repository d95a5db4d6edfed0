"""The job: the query runs, and runs again after a failure, later each time; meanwhile its tables are kept up."""

import re
import threading
import time
from collections.abc import Callable

import structlog
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.session import first_lines
from lakehouse.stream import checkpoint
from lakehouse.stream.metrics import Metrics
from lakehouse.stream.query import Intake
from lakehouse.tables import Lake
from pinline.errors import PinlineError
from pinline.settings import Settings

log = structlog.get_logger("stream")

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_WELL_SECONDS = 60.0
"""A query that worked so long has its next failure treated as a first one."""


def run(
    spark: SparkSession,
    settings: Settings,
    metrics: Metrics,
    stop: threading.Event,
    intake: Callable[[Lake, Metrics], Intake] = Intake,
) -> None:
    """Run until `stop` is set. Raises when Spark's JVM is gone: the supervisor then starts the process anew."""
    lake = Lake(spark, settings)
    pause = _FIRST_PAUSE
    while not stop.is_set():
        started = time.monotonic()
        metrics.starting()
        try:
            intake(lake, metrics).run(stop)
        except (PinlineError, PySparkException, Py4JError, OSError) as error:
            if isinstance(error, Py4JError) and not isinstance(error, PySparkException) and _is_gone(spark):
                raise
            if time.monotonic() - started > _WELL_SECONDS:
                pause = _FIRST_PAUSE
            problem = explain(settings, error)
            metrics.failed(problem)
            log.error("the query failed", error=problem, again_in_seconds=pause)  # noqa: TRY400
            stop.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def explain(settings: Settings, error: Exception) -> str:
    """Return what failed and what to do, without Java's stack."""
    if isinstance(error, PinlineError):
        return str(error)
    text = first_lines(error)
    if "StreamRecreatedError" in text or "OffsetError" in text:
        where = f"s3://{settings.bucket}/{checkpoint.EVENTS}"
        return f"{_source_error(text)} Its checkpoint is {where}. The tables are whole. Try: make stream-reset"
    if "StreamNotFoundError" in text:
        return f"{_source_error(text)} `make up` makes the streams."
    if "AccessError" in text:
        return f"{_source_error(text)} For this job they are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    return _source_error(text)


def _source_error(text: str) -> str:
    """Return what Python said of an error in the source or in a batch, if there is such, else the beginning."""
    if "Traceback (most recent call last)" not in text:
        return text[:600]
    named = re.findall(r"^[A-Za-z_][\w.]*(?:Error|Exception): .*", text.partition("Traceback")[2], re.MULTILINE)
    return named[-1][:600] if named else text[-600:]


def _is_gone(spark: SparkSession) -> bool:
    try:
        spark.version  # noqa: B018  # a call to the JVM
    except Exception:  # whatever it is, the JVM doesn't answer
        return True
    return False
