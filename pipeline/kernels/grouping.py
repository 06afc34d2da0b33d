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


def check_groups(group_start: np.ndarray, *rows: np.ndarray) -> None:
    """Raise ValueError unless the groups cover all rows of every array, in order; a kernel would read beyond them."""
    if group_start[0] != 0 or any(array.size != group_start[-1] for array in rows) or (np.diff(group_start) < 0).any():
        raise ValueError("the starts of groups and the arrays must cover the same rows")
