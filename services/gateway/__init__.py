"""The front door: API Gateway and the Kafka REST proxy behind it, in one process.

In: HTTP requests as the course's clients send them (Kafka REST v2, formats json and binary). Out: records in Kafka, and
one answer a request that tells each record's partition and offset, or its error.
Guarantee: a record with an offset in its answer was acknowledged by all in-sync replicas (acks=all, idempotent
producer). A record with an error, or a request without an answer, may or may not be in Kafka: who sends it again has
at-least-once.

server.py runs the two listeners; app.py puts one together; apigateway.py is what the stage adds in front;
restproxy.py the routes, protocol.py and records.py the words of the protocol; writer.py and cluster.py are Kafka.
"""
