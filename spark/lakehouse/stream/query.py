"""The query over the three streams: started from its checkpoint, watched until it ends."""

import json
import threading
from typing import Any

import structlog
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.stream import checkpoint, forgotten, live, store
from lakehouse.stream.batch import BatchWriter
from lakehouse.stream.metrics import Metrics
from lakehouse.stream.upkeep import Upkeep
from lakehouse.tables import Lake
from pinline.events import EVENTS
from pinline.settings import Settings, secret
from pyspark_kinesis import offsets

log = structlog.get_logger("stream")

_POLL_SECONDS = 0.5
_MOST_RECORDS = 60_000
"""A batch is in memory as a whole."""
_UNLIMITED_RATE = "1000"
"""MB a second and shard, where nobody holds it to the cloud's two."""


def source_options(settings: Settings) -> dict[str, str]:
    """Return the options of `format("kinesis")` for the user's three streams, from the oldest record on."""
    options = {
        "streamName": ",".join(event.stream(settings.user_id) for event in EVENTS),
        "region": settings.aws_region,
        "initialPosition": "trim_horizon",
        "maxRecordsPerTrigger": str(_MOST_RECORDS),
    }
    if not settings.kinesis_limits:
        options["maxFetchRate"] = _UNLIMITED_RATE
    if settings.aws_endpoint_url_kinesis:
        options["endpointUrl"] = settings.aws_endpoint_url_kinesis
    if settings.aws_access_key_id:
        options["awsAccessKey"] = settings.aws_access_key_id
        options["awsSecretKey"] = secret(settings.aws_secret_access_key, "AWS_SECRET_ACCESS_KEY")
        if settings.aws_session_token:
            options["awsSessionToken"] = settings.aws_session_token.get_secret_value()
    return options


class Intake:
    """One run of the query: from the keys that the tables hold until it fails or is stopped."""

    def __init__(self, lake: Lake, metrics: Metrics) -> None:
        self._lake = lake
        self._metrics = metrics

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set; live events and upkeep go along.

        Raises StateError for a damaged or forgotten checkpoint, and PySparkException when the query failed.
        """
        lake = self._lake
        forgotten.mend(lake)
        checkpoint.check(lake.s3, lake.settings)
        store.create(lake, {**store.shapes(lake), live.TABLE: live.COLUMNS})
        upkeep = Upkeep(lake)
        writer = BatchWriter(lake, store.known(lake), upkeep)
        writer.warm_up()
        live_events = live.LiveEvents(lake, upkeep)
        log.info("the tables are known", **{f"{name}_rows": len(keys) for name, keys in writer.keys.items()})

        def write(batch: DataFrame, number: int) -> None:
            written = writer.write(batch, number)
            self._metrics.written(written)
            log.info(
                "batch",
                number=number,
                seconds=round(written.seconds, 3),
                **{name: str(counts) for name, counts in written.counts.items()},
            )

        reader = lake.spark.readStream.format("kinesis").options(**source_options(lake.settings))
        stream: Any = reader.load().writeStream.queryName("events")
        place = f"s3a://{lake.settings.bucket}/{checkpoint.EVENTS.rstrip('/')}"
        query = stream.foreachBatch(write).option("checkpointLocation", place).start()
        remembered = forgotten.Remembered(lake)
        try:
            while self._works(query) and not stop.wait(_POLL_SECONDS):
                remembered.check()
                live_events.watch()
                upkeep.run()
        finally:
            live_events.stop()
            _end(query)
            writer.close()

    def _works(self, query: StreamingQuery) -> bool:
        """Tell whether the query runs. Raises what it failed of."""
        if not query.isActive:
            if (error := query.exception()) is not None:
                raise error
            return False
        status = query.status
        if status["message"].startswith("Waiting for data"):
            self._metrics.works()
        # between two looks the message is of the look itself, most of the time
        self._metrics.idle(is_idle=not status["isDataAvailable"])
        if progress := query.lastProgress:
            source = progress["sources"][0]
            self._metrics.waiting(waiting(source["endOffset"], source["latestOffset"]))
        return True


def waiting(end: str | None, latest: str | None) -> int:
    """Return how many records were fetched and are in no batch yet, by the two offsets (JSON) of a query's progress."""
    batched, fetched = json.loads(end or "null"), json.loads(latest or "null")
    if batched is None or fetched is None:  # before the first batch, and when the source hasn't fetched anything
        return 0
    done = {
        (stream, shard): position.last
        for stream, found in offsets.from_json(batched).items()
        for shard, position in found.shards.items()
    }
    return sum(
        position.count
        for stream, found in offsets.from_json(fetched).items()
        for shard, position in found.shards.items()
        if position.last != done.get((stream, shard))
    )


def _end(query: StreamingQuery) -> None:
    try:
        query.stop()
    except PySparkException as error:
        log.warning("ending the query failed", error=str(error)[:300])
