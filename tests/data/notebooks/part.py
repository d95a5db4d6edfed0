# Databricks notebook source
# MAGIC %md
# MAGIC Run by another notebook.

# COMMAND ----------

dbutils.widgets.text("greeting", "hi")
greeted = dbutils.widgets.get("greeting")
dbutils.notebook.exit(greeted.upper())
