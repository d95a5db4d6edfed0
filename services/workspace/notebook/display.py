"""`display` and `displayHTML`: a DataFrame as a table of its first rows, a streaming one as what it holds now."""

import uuid
from typing import Any

from IPython.display import HTML
from IPython.display import display as show

_ROWS = 200
_STREAM_SECONDS = 60


def display(*values: Any, **options: Any) -> None:
    """Show values; options that only Databricks' charts know are ignored."""
    for value in values:
        if hasattr(value, "toPandas") and hasattr(value, "isStreaming"):
            _frame(_held(value, options) if value.isStreaming else value)
        elif _is_rows(value):
            import pandas as pd  # it takes a while to import

            show(pd.DataFrame(value))
        else:
            show(value)


def displayHTML(html: str) -> None:  # noqa: N802  # Databricks' name
    """Show HTML."""
    show(HTML(html))


def _frame(frame: Any) -> None:
    import pandas as pd  # it takes a while to import

    rows = frame.limit(_ROWS + 1).toPandas()
    with pd.option_context("display.max_rows", _ROWS, "display.max_columns", None):
        show(rows.head(_ROWS))
    if len(rows) > _ROWS:
        print(f"the first {_ROWS:,} rows are shown")


def _held(frame: Any, options: dict[str, Any]) -> Any:
    """Read all that a stream holds now, and return it as a table."""
    name = f"display_{uuid.uuid4().hex}"
    writer = frame.writeStream.format("memory").queryName(name).outputMode(options.get("outputMode", "append"))
    query = writer.trigger(availableNow=True).start()
    try:
        if not query.awaitTermination(_STREAM_SECONDS):
            print(f"the stream was read for {_STREAM_SECONDS} s; there is more")
    finally:
        query.stop()
    return frame.sparkSession.table(name)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(hasattr(item, "_fields") for item in value)
