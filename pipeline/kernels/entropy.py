"""Entropy of where a device has been: how unevenly its visits, or its time, fall on its locations."""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.place_sequences import number_places, numbering_room


def location_entropy(
    group_start: NDArray[np.int64], place: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the entropy of the places of every group of rows, in bits.

    H = -sum(p log2 p), p being the share of the group's weight that its rows at one place have. Group g
    owns rows ``group_start[g]:group_start[g + 1]``, in any order; ``place`` is any number that names a
    place within the group; ``weight`` is visits or seconds (None: every row weighs one). Between 0 (one
    place) and log2 of the number of places. NaN for an empty group and for weights that sum to zero.

    The definition is the one the method notes infer (entropy without order: scikit-mobility calls it
    uncorrelated); which flavour the published figures used is unknown.

    Raises ValueError on arrays that do not cover the same rows and on weights that are negative or not finite.
    """
    rows = [place.size] if weight is None else [place.size, weight.size]
    if group_start[0] != 0 or any(size != group_start[-1] for size in rows):
        raise ValueError("group_start, place and weight must cover the same rows")
    if weight is not None and not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("weights must be finite and not negative")
    return _entropies(group_start, place, np.empty(0) if weight is None else weight)


@kernel
def _entropies(group_start, place, weight):
    longest = 0
    for g in range(group_start.size - 1):
        longest = max(longest, group_start[g + 1] - group_start[g])
    names, table = numbering_room(longest)
    number, sums = np.empty(longest, np.int32), np.empty(longest)
    entropy_bits = np.full(group_start.size - 1, np.nan)
    for g in range(group_start.size - 1):
        a, b = group_start[g], group_start[g + 1]
        n_places = number_places(place[a:b], names, table, number)
        _sum_by_place(number, weight[a:b] if weight.size else weight, b - a, sums[:n_places])
        entropy_bits[g] = _entropy_of(sums[:n_places])
    return entropy_bits


@kernel
def _sum_by_place(number, weight, n_rows, sums):
    """Fill `sums` with the weight of each place, in the order given; without weights every row weighs one."""
    sums[:] = 0.0
    for k in range(n_rows):
        sums[number[k]] += weight[k] if weight.size else 1.0


@kernel
def _entropy_of(sums):
    """Return the entropy of one group in bits; NaN where the sums are none or all zero."""
    total = 0.0
    for value in sums:
        total += value
    if total == 0:
        return math.nan
    entropy = 0.0
    for value in sums:
        share = value / total
        # A share that is zero adds nothing, and one that is 1 must give 0 and not -0.
        if 0 < share < 1:
            entropy -= share * math.log2(share)
    return entropy
