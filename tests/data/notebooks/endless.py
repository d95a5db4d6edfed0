# Databricks notebook source
query = spark.readStream.format("rate").load().writeStream.format("noop").queryName("ticks").start()
print("begun")

# COMMAND ----------

spark.sql("SELECT count(*) FROM range(100000000000000)").collect()
