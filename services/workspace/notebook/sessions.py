"""A run's session on the Spark Connect server: it has an id that is known outside of the kernel, so that whoever ends
the run can end its Spark work too."""

from pinline.errors import SettingsError
from pinline.settings import Settings

_USER = "notebook"


def url(settings: Settings, session: str) -> str:
    """Return SPARK_REMOTE with the session's id. Raises SettingsError when it is not set."""
    if settings.spark_remote is None:
        raise SettingsError(
            "SPARK_REMOTE is not set: notebooks run on a Spark Connect server. Try: SPARK_REMOTE=sc://127.0.0.1:15002"
        )
    if ";session_id=" in settings.spark_remote:
        return settings.spark_remote
    server, _, options = settings.spark_remote.partition("/;")
    return ";".join([server.rstrip("/") + "/", *filter(None, [options]), f"user_id={_USER}", f"session_id={session}"])


def release(settings: Settings, session: str) -> None:
    """End a session from outside: its streaming queries are stopped, what it runs is cancelled."""
    from pyspark.sql import SparkSession  # it takes a while to import, and the service itself needs addresses only

    spark = SparkSession.builder.remote(url(settings, session)).create()
    for query in spark.streams.active:
        query.stop()
    spark.interruptAll()
    spark.stop()
