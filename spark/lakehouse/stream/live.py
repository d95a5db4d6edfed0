"""`stream.live_events`: events a minute by category and country, kept by a query on the stream's own tables.

The tables only ever grow by rows that are new, so they are an append source: an event that is sent again counts once.
A pin and a geo of the same key are an event when they arrived within ten minutes of each other; its minute is the
pin's. Each batch adds its counts by MERGE, once (txnAppId and txnVersion).
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.session import first_lines
from lakehouse.stream import checkpoint, store
from lakehouse.stream.upkeep import Upkeep
from lakehouse.tables import Lake
from pinline.errors import StateError
from pinline.events import GEO, PIN, EventType

log = structlog.get_logger("stream")

TABLE = "stream.live_events"
COLUMNS = "minute TIMESTAMP, category STRING, country STRING, events BIGINT"
_WITHIN = "INTERVAL 10 MINUTES"
_EVERY = "20 seconds"
_PAUSE_SECONDS = 60.0
_APPLICATION = "spark.databricks.delta.write.txnAppId"
_VERSION = "spark.databricks.delta.write.txnVersion"


class LiveEvents:
    """The query, started again by itself when it fails; it never keeps the three streams from being read."""

    def __init__(self, lake: Lake, upkeep: Upkeep, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._upkeep = upkeep
        self._clock = clock
        self._query: StreamingQuery | None = None
        self._next_start = 0.0

    def watch(self) -> None:
        """Start the query if it doesn't run, not before its pause is over."""
        query = self._query
        if query is not None and not query.isActive:
            log.error("the query of live events failed", error=first_lines(query.exception() or Exception())[:600])
            self._query, self._next_start = None, self._clock() + _PAUSE_SECONDS
        elif query is None and self._clock() >= self._next_start:
            self._rebuild_if_damaged()
            self._query = _start(self._lake, self._upkeep)

    def stop(self) -> None:
        """End the query."""
        if self._query is not None:
            with suppress(PySparkException):
                self._query.stop()

    def _rebuild_if_damaged(self) -> None:
        """Without its checkpoint the query counts everything anew: the table is emptied first."""
        lake = self._lake
        try:
            checkpoint.check(lake.s3, lake.settings, checkpoint.LIVE)
        except StateError as error:
            log.warning("live events are counted anew", why=str(error))
            lake.sql("DELETE FROM {table}", TABLE).collect()
            checkpoint.delete(lake.s3, lake.settings, checkpoint.LIVE)


def _start(lake: Lake, upkeep: Upkeep) -> StreamingQuery:
    def source(event: EventType, *columns: Column) -> DataFrame:
        reader = lake.spark.readStream.format("delta").option("maxFilesPerTrigger", "500")
        return reader.load(lake.path(store.table(lake, event))).select(*columns)

    pins = source(PIN, F.col("ind"), F.col("category"), F.col("_arrived"))
    geos = source(GEO, F.col("ind").alias("geo_ind"), F.col("country"), F.col("_arrived").alias("geo_arrived"))
    near = F.expr(f"ind = geo_ind AND geo_arrived BETWEEN _arrived - {_WITHIN} AND _arrived + {_WITHIN}")
    events = pins.withWatermark("_arrived", "10 minutes").join(geos.withWatermark("geo_arrived", "10 minutes"), near)
    stream: Any = events.writeStream.queryName("live_events").trigger(processingTime=_EVERY)
    place = f"s3a://{lake.settings.bucket}/{checkpoint.LIVE.rstrip('/')}"
    query: StreamingQuery = (
        stream.foreachBatch(lambda batch, number: _add(lake, upkeep, batch, number))
        .option("checkpointLocation", place)
        .start()
    )
    return query


def _add(lake: Lake, upkeep: Upkeep, batch: DataFrame, number: int) -> None:
    minute = F.date_trunc("minute", "_arrived").alias("minute")
    counts = batch.groupBy(minute, "category", "country").agg(F.count("*").alias("events")).toArrow()
    if not len(counts):
        return
    spark = batch.sparkSession
    store.frame(spark, counts).createOrReplaceTempView("live_counts")
    spark.conf.set(_APPLICATION, store.query_id(spark))
    spark.conf.set(_VERSION, str(number))
    with upkeep.lock:
        spark.sql(
            f"""
            MERGE INTO {lake.ref(TABLE)} t USING live_counts s
            ON t.minute = s.minute AND t.category <=> s.category AND t.country <=> s.country
            WHEN MATCHED THEN UPDATE SET events = t.events + s.events
            WHEN NOT MATCHED THEN INSERT *
            """
        ).collect()
    upkeep.added(TABLE)
