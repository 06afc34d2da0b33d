"""Sequences of places: what a person's visits are to methods that look at order alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.grouping import group_starts

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: the upper bits of a product with it are spread evenly (multiplicative hashing)."""


class PlaceSequences(NamedTuple):
    """One sequence for each group of visits."""

    start: NDArray[np.int64]
    """Where each sequence begins, and the number of rows last."""
    symbol: NDArray[np.int64]
    """Places, numbered from 0 in each sequence in order of their first visit: what they are called cannot matter."""
    n_visits: NDArray[np.int64]
    """Visits that each row stands for."""


def place_sequences(group_start: NDArray[np.int64], place: NDArray[np.int64], merges_repeats: bool) -> PlaceSequences:
    """Return the sequence of places of every group of visits, which are in order of time.

    With `merges_repeats` visits to one place that follow each other are one row. ValueError on arrays that disagree.
    """
    if group_start[0] != 0 or group_start[-1] != place.size:
        raise ValueError("group_start and place must cover the same rows")
    if not merges_repeats:
        symbol = _numbered(group_start, place)
        return PlaceSequences(np.asarray(group_start, np.int64), symbol, np.ones(place.size, np.int64))
    owner = np.repeat(np.arange(group_start.size - 1), np.diff(group_start))
    run = group_starts(owner, place)
    start = np.searchsorted(run[:-1], group_start).astype(np.int64)
    return PlaceSequences(start, _numbered(start, place[run[:-1]]), np.diff(run))


@kernel
def _numbered(group_start, place):
    """Return places numbered in order of appearance within their group."""
    symbol, longest = np.empty(place.size, np.int32), 0
    for g in range(group_start.size - 1):
        longest = max(longest, group_start[g + 1] - group_start[g])
    names, numbers = numbering_room(longest)
    for g in range(group_start.size - 1):
        a, b = group_start[g], group_start[g + 1]
        number_places(place[a:b], names, numbers, symbol[a:b])
    return symbol.astype(np.int64)


@kernel
def numbering_room(n):
    """Return the table, names and numbers, in which up to n places are numbered: used anew for each sequence."""
    return np.empty(1 << _numbering_bits(n), np.int64), np.empty(1 << _numbering_bits(n), np.int32)


@kernel
def _numbering_bits(n):
    """Return the logarithm of the slots for n places: half of them or more stay empty."""
    bits = 1
    while 1 << bits < 2 * n:
        bits += 1
    return bits


@kernel
def number_places(place, names, numbers, symbol):
    """Write the places of one sequence, any numbers, to `symbol`, numbered from 0 in order of appearance."""
    bits = _numbering_bits(place.size)
    mask, n = (1 << bits) - 1, 0
    numbers[: mask + 1] = -1
    for k in range(place.size):
        slot = np.int64((np.uint64(place[k]) * GOLDEN) >> np.uint64(64 - bits))
        while numbers[slot] >= 0 and names[slot] != place[k]:
            slot = (slot + 1) & mask
        if numbers[slot] < 0:
            names[slot], numbers[slot] = place[k], n
            n += 1
        symbol[k] = numbers[slot]
