"""Ranks within groups."""

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.grouping import group_starts


def rank_in_groups(group: NDArray[np.int64], *keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the rank of each row within its group, from 1, by the keys upwards: the first decides, then the second.

    `group` does not decrease. Rows alike in all keys keep their order.
    """
    order = np.lexsort((*keys[::-1], group))
    start = group_starts(group)
    rank = np.empty(group.size, np.int64)
    rank[order] = np.arange(group.size) - np.repeat(start[:-1], np.diff(start)) + 1
    return rank
