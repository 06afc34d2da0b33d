"""Entropy rate of a sequence of places, and how often the next place can be foretold at best.

Both are those of Song et al. (Science 2010) in what is generally known of them, on visits rather than on hours.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel

HALVINGS = 64
"""Steps of the search for the highest predictability, an interval of at most 1 halved: to the last digit."""


def entropy_rate(group_start: NDArray[np.int64], symbol: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Lempel-Ziv estimate of the entropy rate of every group's sequence, in bits per symbol.

    n log2(n) / sum of L(i), where L(i) is the length of the shortest piece that begins at i and does not occur in
    what comes before i; where all the rest of the sequence occurs there, one more than the rest. NaN of fewer than
    two symbols. Group g owns ``symbol[group_start[g]:group_start[g + 1]]``, in order of time.

    Of short sequences the estimate is far off, and by how much depends on their length: compare sequences of like
    length. scikit-mobility 1.3.1 takes pieces that reach the end to occur before without looking, and fastmob 0.3.2
    lets the earlier occurrence run on past i and ends pieces with the sequence, which matters in all of it.

    Time is quadratic in the length of a sequence, memory linear. ValueError on arrays that disagree.
    """
    _check_rows(group_start, symbol)
    return _entropy_rates(group_start, symbol)


def highest_predictability(entropy_bits: NDArray[np.float64], n_options: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the largest share of next places that can be foretold at a given entropy rate: Fano's inequality.

    The root p of ``entropy = h(p) + (1 - p) log2(n_options - 1)`` with 1 / n_options <= p <= 1, h being the entropy
    of a coin of p, in bits. `n_options`: places that may come next. With more entropy than log2(n_options), as
    estimates of short sequences have, 1 / n_options; with one option, or none, 1. NaN stays NaN. Right to 1e-15.
    """
    return _highest_predictability(np.asarray(entropy_bits, np.float64), np.asarray(n_options, np.int64))


def _check_rows(group_start: NDArray[np.int64], symbol: NDArray[np.int64]) -> None:
    if group_start[0] != 0 or group_start[-1] != symbol.size:
        raise ValueError("group_start and symbol must cover the same rows")


@kernel
def _entropy_rates(group_start, symbol):
    found = np.full(group_start.size - 1, np.nan)
    for g in range(found.size):
        sequence = symbol[group_start[g] : group_start[g + 1]]
        n = sequence.size
        if n >= 2:
            found[g] = n * math.log2(n) / _sum_of_new_pieces(sequence)
    return found


@kernel
def _sum_of_new_pieces(sequence):
    """Return the sum of L(i).

    ``common[j]`` is how long the pieces that begin at j and at i are equal, known from those that begin one later.
    """
    n = sequence.size
    common = np.zeros(n + 1, np.int64)
    total = 0
    for i in range(n - 1, -1, -1):
        longest = 0
        for j in range(i):
            common[j] = common[j + 1] + 1 if sequence[j] == sequence[i] else 0
            longest = max(longest, min(common[j], i - j))
        total += longest + 1
    return total


@kernel
def _highest_predictability(entropy_bits, n_options):
    found = np.empty(entropy_bits.size)
    for k in range(found.size):
        found[k] = _root(entropy_bits[k], n_options[k])
    return found


@kernel
def _root(entropy_bits, n_options):
    if math.isnan(entropy_bits):
        return math.nan
    if n_options <= 1 or entropy_bits <= 0:
        return 1.0
    if entropy_bits >= math.log2(n_options):
        return 1.0 / n_options
    low, high = 1.0 / n_options, 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if _entropy_foretold(middle, n_options) > entropy_bits:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel
def _entropy_foretold(p, n_options):
    """Return the most entropy that leaves the next place foretold a share p of times: falls from 1 / n_options on."""
    entropy = (1 - p) * math.log2(n_options - 1)
    if 0 < p < 1:
        entropy -= p * math.log2(p) + (1 - p) * math.log2(1 - p)
    return entropy
