"""`python -m gateway [--host H]`: serve API_INVOKE_URL's port and REST_PROXY_PORT."""

import argparse
import logging
import sys

from gateway.server import run
from pinline import log, settings
from pinline.errors import PinlineError


def main() -> int:
    """Run the gateway; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description="API Gateway and Kafka REST proxy.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        values = settings.load()
        log.configure(values.log_format)
        # uvicorn tells of its own start and end; ours are enough
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        return 1 if run(values, arguments.host) else 0
    except PinlineError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
