# Databricks notebook source
from pyspark.sql.functions import *
from pyspark.sql.types import *
from pyspark.sql.window import Window

# COMMAND ----------

df_pin = spark.table("raw_pin")
df_geo = spark.read.table("raw_geo")
df_user = spark.sql("SELECT * FROM raw_user")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Milestone 7, task 1: clean the pins

# COMMAND ----------

# Replace empty entries and entries with no relevant data in each column with Nones
df_pin = df_pin.replace({"": None})
df_pin = df_pin.replace({"No description available Story format": None, "No description available": None, "Untitled": None}, subset=["description"])
df_pin = df_pin.replace({"User Info Error": None}, subset=["follower_count", "poster_name"])
df_pin = df_pin.replace({"Image src error.": None}, subset=["image_src"])
df_pin = df_pin.replace({"N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e": None}, subset=["tag_list"])
df_pin = df_pin.replace({"No Title Data Available": None}, subset=["title"])
# Make every entry of follower_count a number
df_pin = df_pin.withColumn("follower_count", regexp_replace("follower_count", "k", "000"))
df_pin = df_pin.withColumn("follower_count", regexp_replace("follower_count", "M", "000000"))
df_pin = df_pin.withColumn("follower_count", df_pin["follower_count"].cast("int"))
df_pin = df_pin.withColumn("downloaded", df_pin["downloaded"].cast("int"))
df_pin = df_pin.withColumn("save_location", regexp_replace("save_location", "Local save in ", ""))
df_pin = df_pin.withColumnRenamed("index", "ind")
df_pin = df_pin.select("ind", "unique_id", "title", "description", "follower_count", "poster_name", "tag_list", "is_image_or_video", "image_src", "save_location", "category")
df_pin = df_pin.dropDuplicates(["ind"])

# COMMAND ----------

df_geo = df_geo.withColumn("coordinates", array("latitude", "longitude"))
df_geo = df_geo.drop("latitude", "longitude")
df_geo = df_geo.withColumn("timestamp", to_timestamp("timestamp"))
df_geo = df_geo.select("ind", "country", "coordinates", "timestamp").dropDuplicates(["ind"])

# COMMAND ----------

df_user = df_user.withColumn("user_name", concat("first_name", lit(" "), "last_name"))
df_user = df_user.drop("first_name", "last_name")
df_user = df_user.withColumn("date_joined", to_timestamp("date_joined"))
df_user = df_user.select("ind", "user_name", "age", "date_joined").dropDuplicates(["ind"])

# COMMAND ----------

df_pin.createOrReplaceTempView("pin_view")
df_geo.createOrReplaceTempView("geo_view")
df_user.createOrReplaceTempView("user_view")

# COMMAND ----------

# Find the most popular Pinterest category people post to based on their country
window = Window.partitionBy("country").orderBy(col("category_count").desc())
most_popular = (
    df_pin.join(df_geo, on="ind", how="inner")
    .groupBy("country", "category")
    .agg(count("ind").alias("category_count"))
    .withColumn("rank", rank().over(window))
    .filter(col("rank") == 1)
    .drop("rank")
)
display(most_popular)

# COMMAND ----------

# MAGIC %sql
# MAGIC -- The median follower count of users by age group
# MAGIC SELECT
# MAGIC   CASE
# MAGIC     WHEN age BETWEEN 18 AND 24 THEN '18-24'
# MAGIC     WHEN age BETWEEN 25 AND 35 THEN '25-35'
# MAGIC     WHEN age BETWEEN 36 AND 50 THEN '36-50'
# MAGIC     WHEN age > 50 THEN '50+'
# MAGIC   END AS age_group,
# MAGIC   percentile_approx(follower_count, 0.5) AS median_follower_count
# MAGIC FROM pin_view JOIN user_view ON pin_view.ind = user_view.ind
# MAGIC GROUP BY age_group
# MAGIC ORDER BY median_follower_count DESC

# COMMAND ----------

display(_sqldf)
df_pin.write.format("delta").mode("overwrite").saveAsTable("clean_pin")
most_popular.write.format("delta").mode("overwrite").saveAsTable("most_popular_category")
