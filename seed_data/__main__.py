"""`python -m seed_data`."""

import sys

from seed_data.cli import main

if __name__ == "__main__":
    sys.exit(main())
