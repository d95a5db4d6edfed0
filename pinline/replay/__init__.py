"""Send what was set aside to Kafka again: dead letters and quarantined lines, each entry once.

In: the dead-letter topic or the lake's quarantine. Out: a copy of each entry in its topic and partition, and a mark in
the topic `replayed.<USER_ID>`, both in one Kafka transaction. So a kill at any moment leaves neither or both, an entry
is sent once however often a replay runs, and nothing is deleted. A replay takes over from one that is still running.

The marks are records and not a group's committed offsets, because those expire, and because the sink may write the
same dead letter twice (same origin). Readers of the topics have to read committed records only, as the sink does.

What the streaming job set aside goes to its Kinesis stream; how that is done once is told in `streams.py`.
"""
