"""The questions: SQL files over the views `pin`, `geo`, `user`, and `posts` and `persons` made of them."""

from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from pinline.events import EventName
from pinline.settings import ROOT

FOLDER = ROOT / "spark" / "queries"
VIEWS = ("posts", "persons")


def define_views(spark: SparkSession, events: Mapping[EventName, DataFrame]) -> list[DataFrame]:
    """Define the views that questions read; `posts` and `persons` are kept in memory until `unpersist`."""
    for name, rows in events.items():
        rows.createOrReplaceTempView(name)
    kept = []
    for view in VIEWS:
        frame = spark.sql(text(view)).persist()
        frame.createOrReplaceTempView(view)
        kept.append(frame)
    return kept


def ask(spark: SparkSession, question: str) -> DataFrame:
    """Return the answer to a question such as `q3a`, in one partition, ordered by all columns."""
    answer = spark.sql(text(question)).coalesce(1)
    return answer.sortWithinPartitions(*answer.columns)


def pack(answer: DataFrame, question: str) -> DataFrame:
    """Return an answer as one row: `question`, its `columns` (DDL) and its `rows` (JSON), in their order."""
    columns = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in answer.schema)
    rows = F.collect_list(F.to_json(F.struct(*answer.columns))).alias("rows")
    return answer.agg(rows).select(F.lit(question).alias("question"), F.lit(columns).alias("columns"), "rows")


def unpack(packed: DataFrame, question: str, columns: str) -> DataFrame:
    """Return the answer that `pack` made one row of; `columns` is that row's."""
    rows = packed.where(F.col("question") == question).select(F.explode("rows").alias("row"))
    return rows.select(F.from_json("row", columns).alias("answer")).select("answer.*")


def text(name: str) -> str:
    """Return the SQL of a question or a view."""
    return Path(FOLDER, f"{name}.sql").read_text(encoding="utf-8")
