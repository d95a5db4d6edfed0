"""The batch in the course's way, on the same Spark: schemas are inferred, and every question reads all of S3 again.

`python -m bench.course` prints the nine answers as one JSON object. The questions are this project's own SQL.
"""

import json
import sys

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse import answers
from lakehouse.session import get_spark
from lakehouse.tables import QUESTIONS
from pinline.events import EVENTS
from pinline.objects import topic_prefix
from pinline.settings import load

_EMPTY = {
    "title": ["No Title Data Available"],
    "description": ["No description available Story format", "No description available", "Untitled"],
    "follower_count": ["User Info Error"],
    "poster_name": ["User Info Error"],
    "image_src": ["Image src error."],
    "tag_list": ["N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"],
}


def main() -> None:
    """Read, clean and ask."""
    settings = load()
    spark = get_spark(settings)
    cleaning = {"pin": pin, "geo": geo, "user": user}
    for event in EVENTS:
        folder = f"s3a://{settings.bucket}/{topic_prefix(event.topic(settings.user_id))}"
        raw = spark.read.format("json").option("inferSchema", "true").load(f"{folder}partition=0/*.json")
        cleaning[event.name](raw).createOrReplaceTempView(event.name)
    for view in answers.VIEWS:
        spark.sql(answers.text(view)).createOrReplaceTempView(view)
    found = {name: [row.asDict() for row in spark.sql(answers.text(name)).collect()] for name in QUESTIONS}
    json.dump(found, sys.stdout, default=str)
    spark.stop()


def pin(raw: DataFrame) -> DataFrame:
    """Clean the pins."""
    for name, values in _EMPTY.items():
        raw = raw.withColumn(name, F.when(~(F.col(name).isin(values) | (F.trim(name) == "")), F.col(name)))
    number = F.regexp_replace("follower_count", "[kM]", "").cast("double")
    factor = F.when(_ends("k"), 1_000).when(_ends("M"), 1_000_000).otherwise(1)
    return (
        raw.withColumn("follower_count", (number * factor).cast("int"))
        .withColumn("save_location", F.regexp_replace("save_location", "Local save in ", ""))
        .withColumnRenamed("index", "ind")
        .drop("downloaded")
    )


def geo(raw: DataFrame) -> DataFrame:
    """Clean the places."""
    place = F.array("latitude", "longitude")
    return (
        raw.withColumn("coordinates", place)
        .drop("latitude", "longitude")
        .withColumn("timestamp", F.to_timestamp("timestamp"))
    )


def user(raw: DataFrame) -> DataFrame:
    """Clean the users."""
    name = F.concat("first_name", F.lit(" "), "last_name")
    return (
        raw.withColumn("user_name", name)
        .drop("first_name", "last_name")
        .withColumn("date_joined", F.to_timestamp("date_joined"))
    )


def _ends(unit: str) -> Column:
    return F.col("follower_count").endswith(unit)


if __name__ == "__main__":
    main()
