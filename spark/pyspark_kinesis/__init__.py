"""Amazon Kinesis Data Streams as a source of Apache Spark: `format("kinesis")` for `readStream` and `read`.

Comes in: shards, by GetRecords, read ahead by a thread each. Goes out: a row a record, in Databricks' columns. Each
record is in exactly one batch, in order within its partition key; a batch is the same rows however often it is read.
"""

from pyspark_kinesis.source import DefaultSource

__all__ = ["DefaultSource"]
