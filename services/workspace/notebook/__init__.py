"""Runs one notebook: `python -m workspace.notebook NOTEBOOK --output OUT.ipynb --result RESULT.json ...`.

In: an `.ipynb` or a Databricks source `.py`, and its parameters. Out: the executed notebook, a line of JSON a happening
while it runs, and a result. The kernel is a process of its own; what a Databricks notebook finds there (`spark`,
`dbutils`, `display`, `%sql`) is put there before the first cell (`workspace.notebook.kernel`), in JupyterLab too.
Guarantee: every run ends with a result, also one that is cancelled or whose kernel dies, and leaves nothing running on
the Spark server. A cell runs once; nothing is tried again.
"""
