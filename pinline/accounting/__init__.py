"""Accounting: does every event that was accepted stand where it has to, and nothing twice?

Sets, not sums by subtraction. For each event type:

- every distinct key that the ledger holds is in silver or in quarantine;
- every offset that Kafka holds is in exactly one of: an object, the dead-letter topic, the ignored nulls;
- every line of every object is a silver row, a quarantine row, or a duplicate whose key is in silver;
- every silver row's object and line are in S3;
- every distinct key that Kinesis acknowledged is in the streaming side's table or in its quarantine, and no key is in
  that table twice.

Kafka may hold more than the ledger (resent, or posted by others): shown, no fault. What is missing is named.
`facts` collects, `balance` and `streams` compare, `report` shows.
"""
