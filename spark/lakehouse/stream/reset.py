"""Empty the query's checkpoint: it starts anew, from the oldest records that Kinesis holds.

The tables and the quarantine stay: what they hold already isn't taken in again, and what a record that Kinesis has let
go of became is not lost. For a damaged checkpoint, and for streams that were deleted and made again.
"""

import socket

from lakehouse.stream import checkpoint
from pinline import aws
from pinline.errors import StateError
from pinline.settings import Settings


def reset(settings: Settings) -> int:
    """Delete the checkpoint; return how many objects it had. Raises StateError while a streaming job runs here."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", settings.stream_metrics_port)) == 0:
            raise StateError(
                f"the streaming job runs (port {settings.stream_metrics_port}, STREAM_METRICS_PORT answers): its "
                "checkpoint stays. End it first"
            )
    return checkpoint.delete(aws.s3_client(settings), settings)
