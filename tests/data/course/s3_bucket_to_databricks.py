# Databricks notebook source
# MAGIC %md
# MAGIC ## Mount the S3 bucket to Databricks

# COMMAND ----------

# pyspark functions
from pyspark.sql.functions import *
# URL processing
import urllib

# COMMAND ----------

# Specify file type to be csv
file_type = "csv"
# Indicates file has first row as the header
first_row_is_header = "true"
# Indicates file has comma as the delimeter
delimiter = ","
# Read the CSV file to spark dataframe
aws_keys_df = (
    spark.read.format(file_type)
    .option("header", first_row_is_header)
    .option("sep", delimiter)
    .load("/FileStore/tables/authentication_credentials.csv")
)

# COMMAND ----------

# Get the AWS access key and secret key from the spark dataframe
ACCESS_KEY = aws_keys_df.where(col("User name") == "databricks-user").select("Access key ID").collect()[0]["Access key ID"]
SECRET_KEY = aws_keys_df.where(col("User name") == "databricks-user").select("Secret access key").collect()[0]["Secret access key"]
# Encode the secrete key
ENCODED_SECRET_KEY = urllib.parse.quote(string=SECRET_KEY, safe="")

# COMMAND ----------

USER_ID = "0ab336d6fcf7"
# AWS S3 bucket name
AWS_S3_BUCKET = f"user-{USER_ID}-bucket"
# Mount name for the bucket
MOUNT_NAME = f"/mnt/user-{USER_ID}-bucket"
# Source url
SOURCE_URL = "s3n://{0}:{1}@{2}".format(ACCESS_KEY, ENCODED_SECRET_KEY, AWS_S3_BUCKET)
# Mount the drive
dbutils.fs.mount(SOURCE_URL, MOUNT_NAME)

# COMMAND ----------

display(dbutils.fs.ls(f"/mnt/user-{USER_ID}-bucket/topics"))

# COMMAND ----------

# MAGIC %sql
# MAGIC -- Disable format checks during the reading of Delta tables
# MAGIC SET spark.databricks.delta.formatCheck.enabled=false

# COMMAND ----------

def read_topic(name):
    # Asterisk(*) indicates reading all the content of the specified file that have .json extension
    file_location = f"/mnt/user-{USER_ID}-bucket/topics/{USER_ID}.{name}/partition=0/*.json"
    return spark.read.format("json").option("inferSchema", "true").load(file_location)


df_pin = read_topic("pin")
df_geo = read_topic("geo")
df_user = read_topic("user")

# COMMAND ----------

display(df_pin)

# COMMAND ----------

df_pin.createOrReplaceGlobalTempView("gtv_pin")
df_pin.write.format("delta").mode("overwrite").saveAsTable("raw_pin")
df_geo.write.format("delta").mode("overwrite").saveAsTable("raw_geo")
df_user.write.format("delta").mode("overwrite").saveAsTable("raw_user")
dbutils.notebook.exit(f"{df_pin.count()} {df_geo.count()} {df_user.count()}")
