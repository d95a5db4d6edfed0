# Databricks notebook source
from pyspark.sql.types import *
from pyspark.sql.functions import *
import urllib

# COMMAND ----------

aws_keys_df = spark.read.csv("dbfs:/FileStore/tables/authentication_credentials.csv", header=True)
ACCESS_KEY = aws_keys_df.select("Access key ID").collect()[0]["Access key ID"]
SECRET_KEY = aws_keys_df.select("Secret access key").collect()[0]["Secret access key"]
USER_ID = "0ab336d6fcf7"

# COMMAND ----------

def read_stream(name):
    return (
        spark.readStream.format("kinesis")
        .option("streamName", f"streaming-{USER_ID}-{name}")
        .option("initialPosition", "earliest")
        .option("region", "us-east-1")
        .option("awsAccessKey", ACCESS_KEY)
        .option("awsSecretKey", SECRET_KEY)
        .load()
    )


def deserialise(df, schema):
    return (
        df.selectExpr("CAST(data as STRING) jsonData")
        .select(from_json("jsonData", schema).alias("data"))
        .select("data.*")
    )

# COMMAND ----------

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

df_geo = deserialise(read_stream("geo"), geo_schema)
df_geo = df_geo.withColumn("coordinates", array("latitude", "longitude")).drop("latitude", "longitude")
df_geo = df_geo.withColumn("timestamp", to_timestamp("timestamp")).select("ind", "country", "coordinates", "timestamp")
df_user = deserialise(read_stream("user"), user_schema)
df_user = df_user.withColumn("user_name", concat("first_name", lit(" "), "last_name")).drop("first_name", "last_name")
df_user = df_user.withColumn("date_joined", to_timestamp("date_joined")).select("ind", "user_name", "age", "date_joined")

# COMMAND ----------

def write_stream(df, table_name):
    return (
        df.writeStream.format("delta")
        .outputMode("append")
        .option("checkpointLocation", f"/tmp/kinesis/{table_name}_checkpoints/")
        .table(table_name)
    )


write_stream(df_geo, f"{USER_ID}_geo_table")
write_stream(df_user, f"{USER_ID}_user_table")
