"""`python -m native`."""

from native.cli import main

main()
