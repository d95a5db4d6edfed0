"""`python -m lakehouse.stream [--host H]`: the streaming job, until SIGTERM. `--help` says more."""

import argparse
import fcntl
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

import pinline.log
from lakehouse import jvm
from lakehouse.session import classic_session, first_lines, spark_conf, without_cluster
from lakehouse.stream.job import run
from lakehouse.stream.metrics import Metrics
from pinline.errors import PinlineError, StateError
from pinline.metrics import serve
from pinline.settings import Settings, load

log = structlog.get_logger("stream")

_LOCK_SECONDS = 60.0


def stream_conf(settings: Settings) -> dict[str, str]:
    """Return the configuration of the job's own driver: `spark_conf`, and what a query of small batches needs."""
    scratch = jvm.scratch_dir(settings) / "stream"
    return {
        **spark_conf(settings),
        "spark.app.name": "pinline-stream",
        "spark.ui.port": str(settings.stream_ui_port),
        "spark.local.dir": str(scratch / "local"),
        # in memory, a few megabytes: a query that is stopped while Hadoop looks at its buffer folder for the first time
        # leaves that JVM without one for ever
        "spark.hadoop.fs.s3a.fast.upload.buffer": "array",
        "spark.hadoop.fs.s3a.multipart.size": "16M",
        "spark.hadoop.fs.s3a.fast.upload.active.blocks": "2",
        "spark.sql.shuffle.partitions": "1",
        # the state of live events outside of the heap, bounded
        "spark.sql.streaming.stateStore.providerClass": (
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
        ),
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
        "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage": "true",
        "spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB": "64",
        # how often the source is asked for news when there was none
        "spark.sql.streaming.pollingDelay": "100ms",
        "spark.sql.streaming.numRecentProgressUpdates": "5",
        "spark.sql.streaming.minBatchesToRetain": "20",
        "spark.sql.streaming.stopTimeout": "20s",
    }


@contextmanager
def alone(settings: Settings, seconds: float = _LOCK_SECONDS) -> Iterator[int]:
    """Hold the lock of the stream's tables; yields its file descriptor, for the JVM to inherit.

    A JVM whose process was killed lives on for a moment, and may end a write: the lock is free when it is gone.
    Raises StateError when another job keeps it for `seconds`.
    """
    file = jvm.scratch_dir(settings) / "stream.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StateError(
                        f"another streaming job writes the same tables: it holds {file}. Try: make status"
                    ) from None
                time.sleep(0.1)
        yield lock.fileno()


def main() -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lakehouse.stream", description="Kinesis to Delta, exactly once.")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to serve metrics and Spark's pages on (default: %(default)s)"
    )
    host = parser.parse_args().host
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        settings = load()
        pinline.log.configure(settings.log_format)
        metrics = Metrics()
        end_metrics = serve(settings.stream_metrics_port, "STREAM_METRICS_PORT", metrics.registry, metrics.status, host)
        with alone(settings) as lock:
            shutil.rmtree(jvm.scratch_dir(settings) / "stream", ignore_errors=True)
            own = {"spark_remote": None, "spark_driver_memory": settings.stream_driver_memory}
            settings = without_cluster(settings).model_copy(update=own)
            spark = classic_session(settings, stream_conf(settings), (lock,), host)
            try:
                run(spark, settings, metrics, stop)
            finally:
                spark.stop()
                end_metrics()
    except PinlineError as error:
        log.error("the stream ended", error=first_lines(error))  # noqa: TRY400  # the text says it all
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
