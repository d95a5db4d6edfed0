"""The Spark Connect server, "the cluster": one JVM that every job shares, on SPARK_REMOTE's host and port.

`python -m lakehouse.server` becomes that JVM (exec), so a supervisor's signals reach it: SIGTERM ends it cleanly.
"""

import argparse
import os

from lakehouse import jvm
from lakehouse.session import spark_conf
from pinline.errors import SettingsError
from pinline.settings import Settings, address, load


def server_conf(settings: Settings, bind: str) -> dict[str, str]:
    """Return `spark_conf` with the server's address. Raises SettingsError if SPARK_REMOTE is not set."""
    if settings.spark_remote is None:
        raise SettingsError(
            "SPARK_REMOTE is not set: it says on which port to serve. Try: SPARK_REMOTE=sc://127.0.0.1:15002"
        )
    return {
        **spark_conf(settings),
        "spark.connect.grpc.binding.address": bind,
        "spark.connect.grpc.binding.port": str(address(settings.spark_remote)[1]),
        # sessions of clients that were killed; one at rest (a test run's, a notebook's) is closed by it too
        "spark.connect.session.manager.defaultSessionTimeout": "3h",
    }


def main() -> None:
    """Become the server."""
    parser = argparse.ArgumentParser(prog="python -m lakehouse.server", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default %(default)s)")
    bind = parser.parse_args().bind
    settings = load()
    folder = jvm.scratch_dir(settings) / "server"
    jvm.clear(folder)
    program = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    command = jvm.command(settings, server_conf(settings, bind), folder, program)
    os.chdir(folder)
    os.execve(command[0], command, jvm.environment(settings, bind))  # noqa: S606  # a shell would only be in the way


if __name__ == "__main__":
    main()
