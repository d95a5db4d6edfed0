"""Kafka to S3, exactly once, configured as Confluent's S3 sink.

In: records of the topics that the configuration names. Out: objects of one JSON value a line, named by the offset of
their first record; what is not JSON goes to the dead-letter topic, null values are counted and left out.
Guarantee: every offset is in exactly one of object, dead letter, ignored null (a dead letter may be sent twice).
S3 is the truth: a partition's position is read from the metadata of its last object, every PUT is conditional, and
an object is PUT only after the one before it. The consumer group shares out partitions and shows the lag, no more.
"""
