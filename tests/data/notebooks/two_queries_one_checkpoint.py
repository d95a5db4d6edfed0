# Databricks notebook source
def write(table, **options):
    source = spark.readStream.format("rate").load()
    return source.writeStream.option("checkpointLocation", "/tmp/kinesis/_checkpoints/").table(table, **options)


first = write("ticks", queryName="ticks")

# COMMAND ----------

try:
    write("other")
except Exception as error:
    print(error)
