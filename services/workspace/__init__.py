"""The stand-in for a Databricks workspace.

In: the Jobs API of Databricks (`/api/2.1`, `/api/2.2`). Out: runs of notebooks and Python files of one folder on the
Spark Connect server, each task a process of its own with a Spark session of its own, and pages that show them.

Runs and jobs are kept in SQLite under PINLINE_DATA/workspace. A run is started at most once: one that was at work when
the service ended is marked as failed by the next start, which ends its processes and its Spark work; one that still
waited is started then.
"""
