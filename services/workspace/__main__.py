"""`python -m workspace [--host H]`: serve DATABRICKS_HOST's port."""

import argparse
import logging
import sys

from pinline import log, settings
from pinline.errors import PinlineError
from workspace.server import run


def main() -> int:
    """Run the workspace; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workspace", description="Databricks' Jobs API, and pages of runs.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        values = settings.load()
        log.configure(values.log_format)
        logging.getLogger("uvicorn").setLevel(logging.WARNING)  # it tells of its own start and end; ours are enough
        run(values, arguments.host)
    except PinlineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
