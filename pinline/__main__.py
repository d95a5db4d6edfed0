"""`python -m pinline` is `pinline`."""

from pinline.cli import main

main()
