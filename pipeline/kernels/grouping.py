"""Runs of equal keys in sorted arrays."""

import numpy as np


def group_starts(*keys: np.ndarray) -> np.ndarray:
    """Return where runs of equal keys begin, and the number of rows last: int64 of length runs + 1."""
    n = keys[0].size
    is_first = np.zeros(n, dtype=bool)
    is_first[:1] = True
    for key in keys:
        is_first[1:] |= key[1:] != key[:-1]
    return np.append(np.flatnonzero(is_first), n).astype(np.int64)
