"""How fast and how large the parts are, each beside a peer or a limit in the same run: `make bench`."""
