# Databricks notebook source
import time

from pyspark.sql.functions import udf

query = spark.readStream.format("rate").load().writeStream.format("noop").queryName("ticks").start()
print("begun")

# COMMAND ----------

@udf("long")
def slow(number):
    time.sleep(1)
    return number


spark.range(1_000_000).select(slow("id")).collect()
