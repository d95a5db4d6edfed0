# Databricks notebook source
# MAGIC %md
# MAGIC # Streaming: from Kinesis to Delta
# MAGIC Written as a student of the course writes it. Only the three values of the next cell are filled in.

# COMMAND ----------

ACCESS_KEY = "<ACCESS_KEY>"
SECRET_KEY = "<SECRET_KEY>"
USER = "<UserId>"

# COMMAND ----------

from pyspark.sql.functions import array, col, concat_ws, from_json, lit, regexp_replace, to_timestamp, when
from pyspark.sql.types import DoubleType, IntegerType, StringType, StructField, StructType

pin_schema = StructType([
    StructField("index", IntegerType()),
    StructField("unique_id", StringType()),
    StructField("title", StringType()),
    StructField("description", StringType()),
    StructField("poster_name", StringType()),
    StructField("follower_count", StringType()),
    StructField("tag_list", StringType()),
    StructField("is_image_or_video", StringType()),
    StructField("image_src", StringType()),
    StructField("downloaded", IntegerType()),
    StructField("save_location", StringType()),
    StructField("category", StringType()),
])

geo_schema = StructType([
    StructField("ind", IntegerType()),
    StructField("timestamp", StringType()),
    StructField("latitude", DoubleType()),
    StructField("longitude", DoubleType()),
    StructField("country", StringType()),
])

user_schema = StructType([
    StructField("ind", IntegerType()),
    StructField("first_name", StringType()),
    StructField("last_name", StringType()),
    StructField("age", IntegerType()),
    StructField("date_joined", StringType()),
])

# COMMAND ----------

def get_stream(stream_name, schema):
    df = spark \
        .readStream \
        .format('kinesis') \
        .option('streamName', stream_name) \
        .option('initialPosition', 'earliest') \
        .option('region', 'us-east-1') \
        .option('awsAccessKey', ACCESS_KEY) \
        .option('awsSecretKey', SECRET_KEY) \
        .load()
    df = df.selectExpr("CAST(data AS STRING) jsonData")
    df = df.select(from_json(col("jsonData"), schema).alias("x"))
    return df.select("x.*")

# COMMAND ----------

def clean_pin(df):
    nothing = {
        "description": ["No description available Story format", "No description available", "Untitled"],
        "follower_count": ["User Info Error"],
        "image_src": ["Image src error."],
        "poster_name": ["User Info Error"],
        "tag_list": ["N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"],
        "title": ["No Title Data Available"],
    }
    for column, markers in nothing.items():
        df = df.withColumn(column, when(col(column).isin(markers), None).otherwise(col(column)))
    df = df.withColumn("follower_count", regexp_replace("follower_count", "k", "000"))
    df = df.withColumn("follower_count", regexp_replace("follower_count", "M", "000000"))
    df = df.withColumn("follower_count", col("follower_count").cast("int"))
    df = df.withColumn("save_location", regexp_replace("save_location", "Local save in ", ""))
    df = df.withColumnRenamed("index", "ind")
    return df.select("ind", "unique_id", "title", "description", "follower_count", "poster_name", "tag_list",
                     "is_image_or_video", "image_src", "save_location", "category")


def clean_geo(df):
    df = df.withColumn("coordinates", array("latitude", "longitude"))
    df = df.drop("latitude", "longitude")
    df = df.withColumn("timestamp", to_timestamp("timestamp"))
    return df.select("ind", "country", "coordinates", "timestamp")


def clean_user(df):
    df = df.withColumn("user_name", concat_ws(" ", "first_name", "last_name"))
    df = df.drop("first_name", "last_name")
    df = df.withColumn("date_joined", to_timestamp("date_joined"))
    return df.select("ind", "user_name", "age", "date_joined")

# COMMAND ----------

def write_stream(df, name):
    return df.writeStream \
        .format("delta") \
        .outputMode("append") \
        .option("checkpointLocation", f"/tmp/kinesis/{USER}_{name}_table_checkpoints/") \
        .toTable(f"{USER}_{name}_table")

write_stream(clean_pin(get_stream(f"streaming-{USER}-pin", pin_schema)), "pin")
write_stream(clean_geo(get_stream(f"streaming-{USER}-geo", geo_schema)), "geo")
write_stream(clean_user(get_stream(f"streaming-{USER}-user", user_schema)), "user")
