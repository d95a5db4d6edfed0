"""The query over the three streams: started from its checkpoint, watched until it ends."""

import threading
from collections.abc import Callable
from typing import Any

import structlog
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.stream import checkpoint, store
from lakehouse.stream.batch import BatchWriter
from lakehouse.stream.metrics import Metrics
from lakehouse.tables import Lake
from pinline.events import EVENTS
from pinline.settings import Settings, secret

log = structlog.get_logger("stream")

_POLL_SECONDS = 0.5
_MOST_RECORDS = 60_000
"""A batch is in memory as a whole."""
_READY_SECONDS = 60.0


def source_options(settings: Settings) -> dict[str, str]:
    """Return the options of `format("kinesis")` for the user's three streams, from the oldest record on."""
    options = {
        "streamName": ",".join(event.stream(settings.user_id) for event in EVENTS),
        "region": settings.aws_region,
        "initialPosition": "trim_horizon",
        "maxRecordsPerTrigger": str(_MOST_RECORDS),
    }
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
        self._application = ""
        self._named = threading.Event()

    def run(self, stop: threading.Event, between: Callable[[], None]) -> None:
        """Run until `stop` is set; `between` is called again and again meanwhile.

        Raises StateError for a damaged checkpoint, and PySparkException when the query failed.
        """
        lake = self._lake
        checkpoint.check(lake.s3, lake.settings)
        store.create(lake, store.shapes(lake))
        writer = BatchWriter(lake, store.known(lake))
        log.info("the tables are known", **{f"{name}_rows": len(keys) for name, keys in writer.keys.items()})

        def write(batch: DataFrame, number: int) -> None:
            self._named.wait(_READY_SECONDS)
            written = writer.write(batch, number, self._application)
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
        # a new checkpoint is a new query: what another one wrote under a batch's number was another batch
        self._application = query.id
        self._named.set()
        try:
            self._watch(query, stop, between)
        finally:
            _end(query)
            writer.close()

    def _watch(self, query: StreamingQuery, stop: threading.Event, between: Callable[[], None]) -> None:
        while not stop.wait(_POLL_SECONDS):
            if not query.isActive:
                if (error := query.exception()) is not None:
                    raise error
                return
            status = query.status
            self._metrics.idle(is_idle=status["message"].startswith("Waiting for data"))
            between()


def _end(query: StreamingQuery) -> None:
    try:
        query.stop()
    except PySparkException as error:
        log.warning("ending the query failed", error=str(error)[:300])
