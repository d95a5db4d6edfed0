"""`python -m sink [--config FILE] [--host H]`: run the sink until SIGTERM or SIGINT, which write what is held."""

import argparse
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from kafka.consumer import KafkaConsumer
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError

import pinline.log
from pinline.aws import s3_client
from pinline.errors import PinlineError, SettingsError, UnreachableError
from pinline.kafka import kafka_python_config, topic_configs
from pinline.metrics import serve
from pinline.settings import Settings, environment, load
from sink.actions import Surroundings
from sink.config import SinkConfig, parse
from sink.deadletters import DeadLetterTopic
from sink.metrics import Metrics
from sink.store import S3Store, probe
from sink.topics import TopicLog
from sink.worker import Worker

log = structlog.get_logger("sink")
_MIB = 1024 * 1024
_THREADS = 8


def read_config(path: Path, settings: Settings) -> SinkConfig:
    """Read the configuration file. Raises SettingsError."""
    try:
        text = path.read_text(encoding="latin-1")  # what the format prescribes
    except OSError as error:
        raise SettingsError(f"the sink can't read its configuration {path} (SINK_CONFIG): {error}") from error
    return parse(text, environment(settings), settings.user_id)


def run(settings: Settings, config: SinkConfig, stop: threading.Event, host: str = "127.0.0.1") -> None:
    """Connect, check the store, and run until `stop` is set; `host` is the address that metrics are served on."""
    store = _store(settings, config)
    connection = kafka_python_config(settings)
    metrics = Metrics()
    try:
        topics = TopicLog(connection)
        topics.ensure(config.dead_letter_topic, settings.kafka_replication_factor, topic_configs(settings))
        dead_letters = DeadLetterTopic(connection, config.dead_letter_topic)
        consumer = KafkaConsumer(**_consumer_config(config), **connection)
    except KafkaError as error:
        raise UnreachableError("Kafka", settings.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS", error) from error
    around = Surroundings(store, dead_letters, topics.log_start, config.rules.topics_dir)
    worker = Worker(consumer, topics, around, config.rules, metrics, threads=_THREADS)
    if config.topics_regex:
        consumer.subscribe(pattern=rf"(?:{config.topics_regex})\Z", listener=worker)
    else:
        consumer.subscribe(list(config.topics), listener=worker)
    end_metrics = serve(settings.sink_metrics_port, "SINK_METRICS_PORT", metrics.registry, worker.status, host)
    log.info("started", group=config.group, bucket=config.bucket, limits=str(config.rules.limits))
    try:
        worker.run(stop)
    finally:
        consumer.close(autocommit=False, timeout_ms=5000)
        dead_letters.close()
        topics.close()
        end_metrics()
    log.info("stopped")


def _store(settings: Settings, config: SinkConfig) -> S3Store:
    changes: dict[str, Any] = {"aws_region": config.region or settings.aws_region}
    if config.store_url:
        changes["aws_endpoint_url_s3"] = config.store_url
    at = settings.model_copy(update=changes)
    # one try a call: the partition's own retries look at S3 before each
    store = S3Store(s3_client(at, attempts=1, pool=_THREADS + 2), config.bucket)
    store.check(at.aws_endpoint_url_s3 or f"AWS S3, {at.aws_region}")
    probe(store)
    return store


def _consumer_config(config: SinkConfig) -> dict[str, Any]:
    return {
        "group_id": config.group,
        "client_id": config.name,
        "auto_offset_reset": "none",
        "enable_auto_commit": False,
        # what a killed replay left in the log was never sent
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        # after a kill -9 a dead member keeps its partitions this long
        "session_timeout_ms": 10_000,
        "heartbeat_interval_ms": 2_000,
        # A poll takes all that was fetched: kafka-python 3.0.12 never returns to a partition that was paused with part
        # of a fetch still to be taken (Fetcher.fetched_records looks for None, and finds a drained one)
        "max_poll_records": 1_000_000_000,
        # what bounds a poll, and what waits in memory besides the buffers; a larger record still comes through alone
        "max_partition_fetch_bytes": 2 * _MIB,
        "fetch_max_bytes": 8 * _MIB,
        "metadata_max_age_ms": 5000,  # how soon a new topic is found
        # spreads topics of one partition each over several processes, which ranges would not
        "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
    }


def main() -> int:
    """Run as a command; returns the exit code."""
    arguments = argparse.ArgumentParser(prog="python -m sink", description="Kafka to S3, exactly once.")
    arguments.add_argument("--config", type=Path, help="a properties file (default: SINK_CONFIG)")
    arguments.add_argument("--host", default="127.0.0.1", help="address to serve metrics on (default: %(default)s)")
    options = arguments.parse_args()
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        settings = load()
        pinline.log.configure(settings.log_format)
        run(settings, read_config(options.config or settings.sink_config, settings), stop, options.host)
    except PinlineError as error:
        log.error("the sink ended", error=str(error))  # noqa: TRY400  # the text says it all
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
