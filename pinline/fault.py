"""A kill at a named moment, for tests: the setting PINLINE_FAULT names the moment, such as `after:replay:sent`.

`after:<write>` ends the process (SIGKILL, nothing is cleaned up) right after that write.
"""

import os
import signal

from pinline.settings import Settings


def after(settings: Settings, write: str) -> None:
    """Tell that `write` is done."""
    if settings.pinline_fault == f"after:{write}":
        os.kill(os.getpid(), signal.SIGKILL)
