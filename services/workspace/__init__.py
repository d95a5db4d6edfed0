"""The stand-in for a Databricks workspace.

In: notebooks and Python files of one folder. Out: runs of them on the Spark Connect server, each a process of its own.
"""
