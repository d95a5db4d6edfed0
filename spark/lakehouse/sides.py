"""Both sides beside each other: how many events silver and the stream's tables hold, and how many one alone holds.

Columns: `event, batch_side, streaming_side, batch_only, streaming_only`. Events that were posted one way only, and
those that one side hasn't taken in yet, stand on one side alone.
"""

import sys

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import tables
from lakehouse.results import print_frame
from lakehouse.tables import Lake
from pinline.errors import PinlineError, StateError
from pinline.events import EVENTS, EventType
from pinline.settings import load


def compare(lake: Lake) -> DataFrame:
    """Return a row an event. Raises StateError if one side has no tables yet."""
    for schema, made_by in (("silver", "make batch"), ("stream", "make stream")):
        if not tables.existing(lake, schema):
            raise StateError(f"comparing both sides: there is no table in {schema} yet. Try: {made_by}")
    first, *rest = (_compare_one(lake, event) for event in EVENTS)
    for frame in rest:
        first = first.unionAll(frame)
    return first


def _compare_one(lake: Lake, event: EventType) -> DataFrame:
    batch = lake.read(f"silver.{event.name}").select("ind", F.lit(1).alias("batch"))
    stream = lake.read(f"stream.{event.stream_table(lake.settings.user_id)}").select("ind", F.lit(1).alias("stream"))
    return batch.join(stream, "ind", "full").select(
        F.lit(event.name).alias("event"),
        F.count("batch").alias("batch_side"),
        F.count("stream").alias("streaming_side"),
        F.count_if(F.col("stream").isNull()).alias("batch_only"),
        F.count_if(F.col("batch").isNull()).alias("streaming_only"),
    )


def main() -> None:
    """Print the comparison."""
    try:
        print_frame(compare(tables.open_lake(load())), "table")
    except PinlineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
