"""Sequences of places: what a person's visits are to methods that look at order alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.grouping import group_starts

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: the upper bits of a product with it are spread evenly (multiplicative hashing)."""
FEWEST_BITS = 8
"""Logarithm of the slots that a table begins with."""
SPARE = 4
"""Slots for each place, at least: few places then have to look for another slot than their first."""


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
    names, table = numbering_room(longest)
    for g in range(group_start.size - 1):
        a, b = group_start[g], group_start[g + 1]
        number_places(place[a:b], names, table, symbol[a:b])
    return symbol.astype(np.int64)


@kernel
def numbering_room(n):
    """Return room, names and a table, in which up to n places are numbered: used anew for each sequence."""
    bits = FEWEST_BITS
    while 1 << bits < SPARE * n:
        bits += 1
    return np.empty(n, np.int64), np.empty(1 << bits, np.int32)


@kernel
def number_places(place, names, table, number):
    """Write the places of one sequence, any numbers, to `number`, numbered from 0 as they appear; return how many.

    The table grows with the places, of which it has room for many more: most people have few, and all of
    their table is then at hand. `names` has the places by number.
    """
    bits, n = FEWEST_BITS, 0
    table[: 1 << bits] = -1
    for k in range(place.size):
        if k > 0 and place[k] == place[k - 1]:
            number[k] = number[k - 1]
            continue
        slot = _slot_of(place[k], names, table, bits)
        at = table[slot]
        if at < 0:
            at, n = n, n + 1
            names[at], table[slot] = place[k], at
            if SPARE * n >= 1 << bits and n < names.size:
                bits += 1
                _fill_table(n, names, table, bits)
        number[k] = at
    return n


@kernel
def _slot_of(name, names, table, bits):
    """Return the slot of a place, or the empty one where it belongs."""
    slot = np.int64((np.uint64(name) * GOLDEN) >> np.uint64(64 - bits))
    at = table[slot]
    while at >= 0 and names[at] != name:
        slot = (slot + 1) & ((1 << bits) - 1)
        at = table[slot]
    return slot


@kernel
def _fill_table(n, names, table, bits):
    table[: 1 << bits] = -1
    for k in range(n):
        table[_slot_of(names[k], names, table, bits)] = k
