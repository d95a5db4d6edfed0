"""Everything that the Compose lane needs and that can be made beforehand: engine, Compose, third-party images.

Done again it takes seconds: what is there is left alone.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pinline.errors import PinlineError
from tests.compose import cache, plugin, standins
from tests.compose.engine import Tell, running, say


@contextmanager
def prepared(tell: Tell = say) -> Iterator[dict[str, str]]:
    """Yield the environment in which Docker and Compose work, with stand-ins for third-party images if wanted."""
    with running(tell) as environment, ThreadPoolExecutor(1) as beside:
        compose = beside.submit(plugin.ensure, environment, tell)
        standins.ensure(environment)
        yield environment | compose.result()


def main() -> int:
    """Prepare, and say what for."""
    try:
        with prepared() as environment:
            where = environment.get("DOCKER_HOST", "the engine of this machine")
            say(
                f"ready: {where}, {'stand-ins' if cache.wants_standins() else 'official images'} for third-party images"
            )
    except PinlineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nstopped; it goes on from here next time", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
