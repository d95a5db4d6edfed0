"""`python -m kinesis --bootstrap-servers HOST:PORT [--port 4567 ...]`: serve the Kinesis API. `--help` lists all."""

import logging
import os
import sys

import structlog

from kinesis.errors import StartError
from kinesis.server import run
from kinesis.settings import read


def main() -> int:
    """Run the service; return the exit code."""
    try:
        settings = read(sys.argv[1:], os.environ)
        _configure_logs(settings.log_format)
        return 1 if run(settings) else 0
    except StartError as error:
        print(f"kinesis: {error}", file=sys.stderr)
        return 2


def _configure_logs(log_format: str) -> None:
    """Log events with fields to standard error: JSON lines, or readable ones."""
    json = log_format == "json"
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if json else []),
            structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
