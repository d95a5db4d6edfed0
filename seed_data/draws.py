"""Random numbers without state: each is a hash of a key (a row, a poster) and the name of what is drawn.

So any row can be made alone, chunks don't depend on each other, and a new attribute changes no other.
The hash is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
"""

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@cache
def _salt(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))


def mix(values: Keys) -> Keys:
    """Return a hash of each value."""
    z = values + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def keys(seed: int, kind: str, numbers: Ints) -> Keys:
    """Return the keys of the numbered things of one kind (rows, posters) under a seed."""
    base = mix(np.array([seed % 2**64], dtype=np.uint64) ^ _salt(kind))
    return mix(base + numbers.astype(np.uint64) * _GOLDEN)


def bits(of: Keys, name: str) -> Keys:
    """Return 64 random bits for each key; `name` says what for."""
    return mix(of ^ _salt(name))


def uniform(of: Keys, name: str) -> Floats:
    """Return a number in [0, 1) for each key."""
    return (bits(of, name) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(of: Keys, name: str, limit: int | Ints) -> Ints:
    """Return an integer in 0..limit-1 for each key."""
    return (uniform(of, name) * limit).astype(np.int64)


def choice(of: Keys, name: str, shares: tuple[float, ...]) -> Ints:
    """Return for each key the position of one of the shares, as often as its part of their sum."""
    edges = np.cumsum(shares) / sum(shares)
    return np.searchsorted(edges[:-1], uniform(of, name), side="right").astype(np.int64)


def lowest(of: Keys, name: str, times: Floats) -> Floats:
    """Return the smallest of `times` uniform numbers, by its own distribution (1 - (1-x)^times)."""
    return 1.0 - (1.0 - uniform(of, name)) ** (1.0 / times)
