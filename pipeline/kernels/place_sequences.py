"""Sequences of places: what a person's visits are to methods that look at order alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.grouping import group_starts


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
    symbol = np.empty(place.size, np.int64)
    for g in range(group_start.size - 1):
        a, b = group_start[g], group_start[g + 1]
        # A stable sort: the first row of each run is the first appearance.
        order = np.argsort(place[a:b], kind="mergesort")
        first = np.empty(b - a, np.int64)
        for k in range(b - a):
            is_same = k > 0 and place[a + order[k]] == place[a + order[k - 1]]
            first[order[k]] = first[order[k - 1]] if is_same else order[k]
        n = 0
        for k in range(b - a):
            if first[k] == k:
                symbol[a + k] = n
                n += 1
            else:
                symbol[a + k] = symbol[a + first[k]]
    return symbol
