"""Any SQL on the lake: `python -m lakehouse.sql "SELECT * FROM gold.q1"`.

Tables: silver.*, gold.*, quarantine.records, ops.*.
"""

import argparse
import sys

from pyspark.errors import PySparkException

from lakehouse import tables
from lakehouse.results import print_frame
from lakehouse.session import first_lines
from pinline.errors import PinlineError
from pinline.settings import load


def main() -> None:
    """Print a query's rows."""
    parser = argparse.ArgumentParser(prog="python -m lakehouse.sql", description=__doc__)
    parser.add_argument("query")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    try:
        lake = tables.open_lake(load())
        tables.register(lake)
        print_frame(lake.spark.sql(arguments.query), arguments.format)
    except PinlineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except PySparkException as error:
        print(first_lines(error), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
