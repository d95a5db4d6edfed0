"""Kinesis → Delta: the three streams become `stream.<USER_ID>_pin_table|geo|user`, each event exactly once.

One query reads the three streams (`format("kinesis")`, at least once, the same rows again after a failure). A batch
writes `stream.quarantine` first, then the tables, then Spark notes the batch in the checkpoint. A kill in between has
the batch repeated, and what is in the tables already isn't written again: every key of a table is known to this
process (`keys.py`), read anew from the table at each start of the query. That is why there is one such process only.

An event that comes again is dropped for ever; the same key with other content goes to quarantine.
"""
