"""Poisson bootstrap over devices: replicate sums that add up over device buckets.

In each replicate a device counts as often as a Poisson number of mean 1 says, drawn by its id alone: the bootstrap
for data that nobody holds in one place, standard in statistics of large logs. Whether a device counts depends on no
other device, so the sums of two buckets are added and are those of both together.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.keyed_random import keyed_uniform

# P(a Poisson number of mean 1 is at most k). That it is more than 18 is less probable than a step of a uniform draw.
POISSON_CDF = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(19)])
BLOCK = 4096
"""Devices whose numbers are held at the same time."""


def poisson_counts(
    device_id: NDArray[np.int64], stage: str, seed: int, n_replicates: int, first: int = 0
) -> NDArray[np.int64]:
    """Return how often each device counts in each replicate: int64 of shape (devices, `n_replicates`), mean 1.

    The replicates are those from number `first` on, so that a block of them takes no more memory than it needs.
    """
    uniform = keyed_uniform(device_id[:, None], stage, seed, first + np.arange(n_replicates))
    return np.searchsorted(POISSON_CDF, uniform, side="right")


def bootstrap_sums(
    device_id: NDArray[np.int64],
    group: NDArray[np.int64],
    values: NDArray[np.int64],
    n_groups: int,
    stage: str,
    seed: int,
    n_replicates: int,
) -> NDArray[np.int64]:
    """Return the sums of `values` in every replicate: int64 of shape (`n_groups`, columns, `n_replicates`).

    Rows may be in any order, and a device may have several: all of them count as often as the device does.
    `values` are fixed point numbers of shape (rows, columns), so the sums are exact; `group` is 0 to n_groups - 1.
    ValueError where the arrays do not cover the same rows or a group is out of range.
    """
    if not device_id.shape == group.shape == values.shape[:1]:
        raise ValueError("device_id, group and values must cover the same rows")
    if group.size and not 0 <= group.min() <= group.max() < n_groups:
        raise ValueError("groups must be numbered from 0 to n_groups - 1")
    sums = np.zeros((n_groups, values.shape[1], n_replicates), np.int64)
    devices, owner = np.unique(device_id, return_inverse=True)
    order = np.argsort(owner, kind="stable")
    owner, group, values = owner[order], group[order], np.ascontiguousarray(values[order])
    for first in range(0, devices.size, BLOCK):
        counts = poisson_counts(devices[first : first + BLOCK], stage, seed, n_replicates)
        a, b = np.searchsorted(owner, [first, first + BLOCK])
        _add(owner[a:b] - first, group[a:b], values[a:b], counts, sums)
    return sums


@kernel
def _add(owner, group, values, counts, sums):
    """Add every row to the sums of its group, as often as its owner counts."""
    for row in range(owner.size):
        count, into = counts[owner[row]], sums[group[row]]
        for column in range(values.shape[1]):
            value = values[row, column]
            for replicate in range(count.size):
                into[column, replicate] += count[replicate] * value
