"""What our HTTP services share: their command line, and how they take a port."""

import argparse
import logging
import socket
import sys
from collections.abc import Callable

from pinline import log, settings
from pinline.errors import PinlineError
from pinline.settings import Settings


def main(program: str, about: str, run: Callable[[Settings, str], int | None]) -> int:
    """Run a service by its command line (`--host`); return the exit code: 1 if `run` returns other than 0 or None."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
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


def bind(host: str, port: int, service: str, setting: str) -> socket.socket:
    """Return a socket bound to a port. Raises PinlineError, which names `service` and `setting`, when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise PinlineError(
            f"the {service} cannot listen on {host}:{port}: {error.strerror}. "
            f"End the program that has the port, or set another one by {setting}."
        ) from None
    return sock
