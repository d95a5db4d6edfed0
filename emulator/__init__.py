"""Posts events as users would: rows of the source database in, acknowledged records out. At least once, none dropped.

A sequence (draws.py) says which events, rows.py fetches them by key, target.py words the requests and reads the
answers, delivery.py repeats what failed, spool.py keeps what still fails, position.py remembers how far all is done,
and engine.py runs them. The position moves past an event only when each of its records is acknowledged or spooled;
after a kill, at most what was in flight (`concurrency` times `batch-size` events) is sent a second time.
"""
