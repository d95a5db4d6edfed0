"""The moments of a batch at which a test may kill it, by PINLINE_FAULT=after:<write> (pinline/fault.py).

The writes in order: lease, quarantine:<event>, silver:<event>, progress:<event>, pin, gold_next, quality,
gold:<question>, gold, published, release.
"""

from pinline.fault import after

__all__ = ["after"]
