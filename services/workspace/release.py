"""`python -m workspace.release SESSION`: end a session on the Spark server, with all that runs in it.

What a client asked for goes on when the client is killed; this ends it. The session's id was given to the client.
"""

import sys

from pinline import settings
from pinline.errors import PinlineError
from workspace.notebook import sessions


def main() -> int:
    """Release the session; a server that can't be asked has nothing left to end."""
    try:
        sessions.release(settings.load(), sys.argv[1])
    except PinlineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
