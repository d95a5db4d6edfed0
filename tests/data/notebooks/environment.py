# Databricks notebook source
bucket = dbutils.widgets.get("bucket")
dbutils.fs.mount(f"s3n://KEY:SE%2FCRET@{bucket}", "/mnt/course")
dbutils.fs.put("/mnt/course/topics/a.json", '{"a": 1}\n{"a": 2}')
display(dbutils.fs.ls("/mnt/course/topics"))

# COMMAND ----------

df = spark.read.format("json").option("inferSchema", "true").load("/mnt/course/topics/*.json")
df.write.mode("overwrite").saveAsTable("numbers")
df.write.format("delta").save("dbfs:/tmp/numbers")
display(df)

# COMMAND ----------

# MAGIC %sql
# MAGIC -- a comment; with a semicolon
# MAGIC CREATE OR REPLACE TEMP VIEW big AS SELECT a FROM delta.`/tmp/numbers` WHERE a > 1;
# MAGIC SELECT sum(n.a) AS total FROM notebook.numbers n JOIN big ON n.a <= big.a

# COMMAND ----------

print("total", _sqldf.first().total)
print(dbutils.fs.head(f"s3://{bucket}/topics/a.json", 8))
print(type(spark).__name__, dbutils.fs.rm("/tmp/numbers", True), dbutils.fs.rm("/tmp/numbers", True))
print(dbutils.secrets.get("any", "aws-access-key-id"))

# COMMAND ----------

for refused in (
    lambda: df.write.mode("append").saveAsTable("gold.q1"),
    lambda: spark.read.json("/mnt/other/x"),
    lambda: dbutils.fs.mount(f"s3a://{bucket}", "/mnt/course"),
    lambda: dbutils.jobs,
):
    try:
        refused()
    except Exception as error:
        print(error)

# COMMAND ----------

# MAGIC %run ./part $greeting="good day"

# COMMAND ----------

print(greeted, dbutils.notebook.run("part", 60, {"greeting": "hello"}))

# COMMAND ----------

# MAGIC %fs ls /mnt

# COMMAND ----------

from pyspark.sql import SparkSession

assert SparkSession.builder.appName("x").getOrCreate() is spark
dbutils.notebook.exit("all right")
