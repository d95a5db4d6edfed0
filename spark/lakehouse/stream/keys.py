"""The keys of a table, each with a digest of its row's content, in memory: 16 bytes a row.

It stands for an insert-only MERGE: the stream process is its tables' only writer, so what it knows of them is what
they hold, and a batch needs neither read a table nor join with it.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_FEW = 20_000
"""So many new keys wait before they are sorted in among the others."""


class KeyIndex:
    """Keys and digests of rows. Where a key stands twice, any of its digests counts."""

    def __init__(self, keys: Ints, contents: Ints) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys, self._contents = keys[order], contents[order]
        self._recent: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._recent)

    def lookup(self, keys: Ints) -> tuple[NDArray[np.bool_], Ints]:
        """Return for each of `keys` whether it is known, and the digest (0 if it isn't)."""
        known = np.zeros(len(keys), dtype=np.bool_)
        contents = np.zeros(len(keys), dtype=np.int64)
        if len(self._keys):
            places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            known = self._keys[places] == keys
            contents = np.where(known, self._contents[places], 0)
        for place, key in enumerate(keys.tolist()):
            if (content := self._recent.get(key)) is not None:
                known[place], contents[place] = True, content
        return known, contents

    def add(self, keys: Ints, contents: Ints) -> None:
        """Take in the keys of rows that were written."""
        self._recent.update(zip(keys.tolist(), contents.tolist(), strict=True))
        if len(self._recent) > max(_FEW, len(self._keys) // 8):
            added = np.array(list(self._recent.items()), dtype=np.int64)
            merged = KeyIndex(np.append(self._keys, added[:, 0]), np.append(self._contents, added[:, 1]))
            self._keys, self._contents, self._recent = merged._keys, merged._contents, {}
