"""Exploration: how the number of a device's locations grows with its visits."""

import numpy as np
from numpy.typing import NDArray


def growth_exponents(group_start: NDArray[np.int64], is_first: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the exponent a of S(n) ~ n^a of each group of visits, S being the distinct locations up to the n-th.

    The least squares slope of ln S(n) by ln n over n = 1 to the group's last visit, every visit counting alike (ours):
    1 where each visit is to a new place, 0 where all are to one. Late visits lie closer on the logarithm and so decide
    more. Group g owns visits ``group_start[g]:group_start[g + 1]`` in order of time; ``is_first`` marks the first of
    the group to its location. NaN for a group of fewer than two visits.
    """
    n_each = np.diff(group_start)
    group = np.repeat(np.arange(n_each.size), n_each)
    number = np.arange(is_first.size) - group_start[group] + 1
    seen = np.concatenate(([0], np.cumsum(is_first)))
    x, y = np.log(number), np.log(seen[1:] - seen[group_start[group]])

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(group, values, n_each.size)

    with np.errstate(divide="ignore", invalid="ignore"):
        dx, dy = x - (sums(x) / n_each)[group], y - (sums(y) / n_each)[group]
        return np.where(n_each > 1, sums(dx * dy) / sums(dx * dx), np.nan)
