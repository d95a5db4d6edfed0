"""The Spark session of every job, and the one place of Spark's settings.

`SPARK_REMOTE` decides: a Spark Connect server if it is set, else a driver in this process; on Databricks, and wherever
a session is already active, that one.
"""

import logging
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse import jvm
from pinline.errors import SettingsError, UnreachableError
from pinline.settings import Settings, address

_FEW_ROWS = 200_000


def spark_conf(settings: Settings) -> dict[str, str]:
    """Return Spark's configuration: Delta, S3A and what is fastest for jobs of seconds on one machine.

    Raises SettingsError when SPARK_PROPERTIES is wrong.
    """
    scratch = jvm.scratch_dir(settings)
    return {
        "spark.master": settings.spark_master,
        "spark.app.name": "pinline",
        "spark.driver.host": settings.spark_driver_host,
        "spark.driver.bindAddress": settings.spark_driver_host,
        "spark.log.level": "WARN",
        # what the UI remembers of past queries is plans, and they are large
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.ui.retainedTasks": "1000",
        "spark.sql.ui.retainedExecutions": "20",
        "spark.connect.ui.retainedSessions": "10",
        "spark.connect.ui.retainedStatements": "20",
        "spark.ui.port": str(settings.spark_ui_port),
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # 50 by default: reading a table's log would be a job of 50 tasks
        "spark.databricks.delta.snapshotPartitions": "1",
        # planning each stage anew costs a quarter of a small job's time and gains nothing at two partitions
        "spark.sql.adaptive.enabled": "false",
        # a batch has a hundred queries, and compiling one takes longer than interpreting it does (see compile_queries)
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        # 10,000 by default, and so many tasks a VACUUM has: half a minute for a table of two files
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        # thousands of one-record objects share a task
        "spark.sql.files.openCostInBytes": "16384",
        **_s3a(settings),
        **_executors(settings),
        **(_properties(settings.spark_properties) if settings.spark_properties else {}),
    }


def without_cluster(settings: Settings) -> Settings:
    """Return the settings of a driver that runs its tasks itself, whatever cluster SPARK_MASTER names."""
    own = ("spark_master", "spark_driver_host", "spark_properties")
    return settings.model_copy(update={name: Settings.model_fields[name].get_default() for name in own})


def _properties(file: Path) -> dict[str, str]:
    """Read Spark's own properties, written as in its `spark-defaults.conf`: lines such as `spark.executor.memory 2g`.

    Raises SettingsError that names the file and the line.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise SettingsError(f"reading {file} (SPARK_PROPERTIES): {error}") from None
    found = {}
    for number, line in enumerate(lines, 1):
        if match := re.fullmatch(r"\s*(spark\.[^\s=]+)(?:\s*=\s*|\s+)(.*?)\s*", line):
            found[match[1]] = match[2]
        elif line.strip() and not line.lstrip().startswith("#"):
            raise SettingsError(
                f"{file} (SPARK_PROPERTIES), line {number} is {line!r}: expected such as `spark.executor.memory 2g`"
            )
    return found


def _executors(settings: Settings) -> dict[str, str]:
    """What a cluster's executors need to be like the driver."""
    if settings.spark_master.startswith("local"):
        return {"spark.hadoop.fs.s3a.buffer.dir": str(jvm.scratch_dir(settings) / "s3a")}
    return {
        # Delta and S3A, at the same path as here
        "spark.executor.extraClassPath": f"{jvm.jars_dir(settings)}/*",
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC -Xss4m",
    }


def _s3a(settings: Settings) -> dict[str, str]:
    conf = {
        "spark.hadoop.fs.s3a.endpoint.region": settings.aws_region,
        "spark.hadoop.fs.s3a.retry.limit": "4",
        "spark.hadoop.fs.s3a.attempts.maximum": "3",
        "spark.hadoop.fs.s3a.connection.maximum": "64",
        # no probes for files and folders of the same name before each write: Delta's file names are unique
        "spark.hadoop.fs.s3a.performance.flags": "create,mkdir",
    }
    if settings.aws_endpoint_url_s3:
        conf["spark.hadoop.fs.s3a.endpoint"] = settings.aws_endpoint_url_s3
        conf["spark.hadoop.fs.s3a.path.style.access"] = "true"
    if settings.aws_access_key_id and settings.aws_secret_access_key:
        conf["spark.hadoop.fs.s3a.access.key"] = settings.aws_access_key_id
        conf["spark.hadoop.fs.s3a.secret.key"] = settings.aws_secret_access_key.get_secret_value()
        if settings.aws_session_token:
            conf["spark.hadoop.fs.s3a.session.token"] = settings.aws_session_token.get_secret_value()
    return conf


def get_spark(settings: Settings) -> SparkSession:
    """Return the session. Raises UnreachableError when `SPARK_REMOTE` is set and nothing answers there."""
    logging.getLogger("SQLQueryContextLogger").disabled = True  # it prints every error's Java stack
    if active := SparkSession.getActiveSession():
        return active
    if settings.spark_remote is None:
        return classic_session(settings, spark_conf(settings))
    _ensure_answers(settings.spark_remote)
    return SparkSession.builder.remote(settings.spark_remote).getOrCreate()


def classic_session(
    settings: Settings, conf: Mapping[str, str], kept_open: tuple[int, ...] = (), bind: str = "127.0.0.1"
) -> SparkSession:
    """Return the session of a driver in this process, with a JVM of its own that inherits `kept_open` and has its pages
    on the address `bind`."""
    jvm.start_driver(settings, conf, kept_open, bind)
    return SparkSession.builder.getOrCreate()


def compile_queries(spark: SparkSession, rows: int) -> None:
    """Have the session's queries compiled if they are about many rows; else they are interpreted."""
    if rows > _FEW_ROWS:
        spark.conf.set("spark.sql.codegen.wholeStage", "true")
        spark.conf.set("spark.sql.codegen.factoryMode", "FALLBACK")


def first_lines(error: Exception) -> str:
    """Return the text of Spark's error without the Java stack."""
    return str(error).partition("\n\nJVM stacktrace")[0][:4000]


def _ensure_answers(remote: str) -> None:
    host, port = address(remote)
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        raise UnreachableError("Spark", f"{host}:{port}", "SPARK_REMOTE", error) from None
