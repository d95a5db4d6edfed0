"""`python -m workspace [--host H]`: serve DATABRICKS_HOST's port."""

import sys

from pinline import listener
from workspace.server import run

if __name__ == "__main__":
    sys.exit(listener.main("workspace", "Databricks' Jobs API, and pages of runs.", run))
