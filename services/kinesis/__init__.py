"""The Kinesis Data Streams API on top of Kafka.

In: HTTP requests as AWS's SDKs send them (AWS JSON 1.1 or CBOR). Out: records in Kafka, where a stream is the topic
`kinesis.<stream>` and a shard is a partition, and answers of AWS's shape.
Guarantee: a record with a sequence number in its answer was acknowledged by all in-sync replicas, stands before its
shard's end, and is read by whoever follows the shards from parent to child. What streams there are stands in a
compacted topic, so the process holds no state: it may be killed, and several may run at once.

server.py listens, app.py answers; model.py and wire.py are the protocol; control.py and data.py the operations;
streams.py says what a stream is, catalog.py keeps it, lifecycle.py moves it; writer.py and reader.py are Kafka.
"""
