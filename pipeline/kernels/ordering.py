"""Sorting by a packed key, in time proportional to the number of rows."""

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel

DIGIT_BITS = 11
N_DIGITS = 1 << DIGIT_BITS


@kernel
def radix_order(keys: NDArray[np.uint64], n_bits: int) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return (keys sorted, order): ``keys[order]`` are the sorted keys, equal ones in their old order.

    Radix sort from the lowest digit of 11 bits up, for keys below 2**n_bits and fewer than 2**31
    of them. Unsigned all through: signed indices make numba test every one for being negative.
    """
    n = keys.size
    here = keys.copy()
    there = np.empty_like(here)
    order = np.arange(n).astype(np.int32)
    order_there = np.empty_like(order)
    starts = _digit_counts(keys, (n_bits + DIGIT_BITS - 1) // DIGIT_BITS)
    for place_of_digit in range(starts.shape[0]):
        shift = np.uint64(place_of_digit * DIGIT_BITS)
        start = starts[place_of_digit]
        _counts_to_starts(start)
        for k in range(n):
            digit = (here[k] >> shift) & np.uint64(N_DIGITS - 1)
            place = start[digit]
            start[digit] = place + np.uint32(1)
            there[place] = here[k]
            order_there[place] = order[k]
        here, there = there, here
        order, order_there = order_there, order
    return here, order


@kernel
def _digit_counts(keys: NDArray[np.uint64], n_digits: int) -> NDArray[np.uint32]:
    counts = np.zeros((n_digits, N_DIGITS), np.uint32)
    for k in range(keys.size):
        for place in range(n_digits):
            digit = (keys[k] >> np.uint64(place * DIGIT_BITS)) & np.uint64(N_DIGITS - 1)
            counts[place, digit] += np.uint32(1)
    return counts


@kernel
def _counts_to_starts(counts: NDArray[np.uint32]) -> None:
    n_before = np.uint32(0)
    for digit in range(counts.size):
        n_here = counts[digit]
        counts[digit] = n_before
        n_before += n_here
