"""What Java would parse at every start, kept: class archives (CDS), with which Spark and Kafka start in half the time.

`python -m native.class_archives FOLDER` starts each of them in a temporary folder, uses it a little, and keeps the
classes that it had loaded then as `spark.jsa` and `kafka.jsa`. A Java that can't use an archive, because it is another
one or the jars have changed since, starts as if there were none.
"""

import argparse
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from native import launch as launching
from native.ready import problem
from native.services import SERVICES
from pinline import init
from pinline.errors import DeadlineError, PinlineError
from pinline.settings import Settings

_UP_SECONDS, _END_SECONDS = 300.0, 600.0


def make(folder: Path) -> None:
    """Make the archives in `folder`. Raises PinlineError, with what Java said, if one can't be made."""
    with tempfile.TemporaryDirectory(prefix="pinline-classes-") as temporary:
        settings = _settings(Path(temporary))
        with _running("s3", settings), ThreadPoolExecutor(len(_USES)) as pool:
            init.ensure_bucket(settings)
            list(pool.map(lambda name: _archive(name, settings, folder, _USES[name]), _USES))


def _settings(folder: Path) -> Settings:
    def local(scheme: str) -> str:
        return f"{scheme}127.0.0.1:{_free_port()}"

    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        user_id="classes",
        pinline_data=folder,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # type: ignore[arg-type]  # noqa: S106  # of an S3 that takes any
        aws_endpoint_url_s3=local("http://"),
        kafka_bootstrap_servers=local(""),
        kafka_controller_port=_free_port(),
        spark_remote=local("sc://"),
        spark_ui_port=_free_port(),
    )


def _archive(name: str, settings: Settings, folder: Path, use: Callable[[Settings], object]) -> None:
    """Run a service, have it used, and keep its classes when it ends."""
    part = folder / f"{name}.jsa.part"
    for file in (part, folder / f"{name}.jsa"):
        file.unlink(missing_ok=True)
    with _running(name, settings, {"JDK_JAVA_OPTIONS": f'"-XX:ArchiveClassesAtExit={part}"'}) as log:
        use(settings)
    if not part.exists():
        raise PinlineError(f"making the archive of {name}'s classes failed:\n{log.read_text()[-2000:]}")
    part.replace(folder / f"{name}.jsa")


def _use_spark(settings: Settings) -> None:
    from lakehouse import tables  # PySpark takes a second

    lake = tables.open_lake(settings)
    tables.create(lake)
    lake.append("ops.published", [("q1", 1)], "question string, pin_version bigint", "published_at")
    lake.read("ops.published").groupBy("question").count().collect()
    lake.spark.stop()


_USES: dict[str, Callable[[Settings], object]] = {"spark": _use_spark, "kafka": init.ensure_topics}
"""What is archived, and how it is used before."""


@contextmanager
def _running(name: str, settings: Settings, environment: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A service that is ready, and its log; ended at the end."""
    service = SERVICES[name]
    service.prepare(settings)
    launch = service.launch(settings)
    launching.write(launch)
    log = settings.pinline_data / f"{name}.log"
    values = {name.upper(): str(value) for name, value in settings.model_dump(exclude_unset=True).items()}
    values |= {"AWS_SECRET_ACCESS_KEY": "test", "PINLINE_ENV_FILE": os.devnull}
    with log.open("wb") as out:
        process = subprocess.Popen(
            launch.command,
            env={**os.environ, **values, **launch.environment, **(environment or {})},
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + _UP_SECONDS
        while reason := problem(service.check, settings):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DeadlineError(f"{name} is not ready: {reason}\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield log
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def main() -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m native.class_archives", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the archives go, such as .local/jars")
    try:
        make(parser.parse_args().folder.resolve())
    except PinlineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
