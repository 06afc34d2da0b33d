"""Entropy rate of a sequence of places, and how often the next place can be foretold at best.

Both are those of Song et al. (Science 2010) in what is generally known of them, on visits rather than on hours.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.place_sequences import number_places, numbering_room
from pipeline.kernels.suffix_automaton import (
    FIRST,
    LENGTH,
    LINK,
    MOST_SYMBOLS,
    ROOT,
    automaton_room,
    build_automaton,
    table_bits,
    target_of,
)

Variant = Literal["ours", "skmob", "fastmob"]

HALVINGS = 64
"""Steps of the search for the highest predictability, an interval of at most 1 halved: to the last digit."""


def entropy_rate(
    group_start: NDArray[np.int64], symbol: NDArray[np.int64], variant: Variant = "ours"
) -> NDArray[np.float64]:
    """Return the Lempel-Ziv estimate of the entropy rate of every group's sequence, in bits per symbol.

    n log2(n) / sum of L(i), where L(i) is the length of the shortest piece that begins at i and does not occur in
    what comes before i; where all the rest of the sequence occurs there, one more than the rest. NaN of fewer than
    two symbols. Group g owns ``symbol[group_start[g]:group_start[g + 1]]``, in order of time; symbols are any numbers.

    `variant` is ours, or that of a peer, who differ in this (of fewer than two symbols they return 0):

    - "skmob", scikit-mobility 1.3.1: a piece that is new only as it ends with the sequence, the first excepted, counts
      one more too: that it occurs before is taken for granted there.
    - "fastmob", fastmob 0.3.2: the earlier occurrence need not end before i, it may overlap the piece and has but to
      begin before it; and where all the rest occurs, L(i) is the length of the rest.

    Of short sequences the estimate is far off, and by how much depends on their length: compare sequences of like
    length.

    Time and memory are linear in the length of a sequence (`kernels.suffix_automaton`). ValueError on arrays that
    disagree, and on a sequence of more than 2^26 symbols.
    """
    _check_rows(group_start, symbol)
    if np.diff(group_start).max(initial=0) > MOST_SYMBOLS:
        raise ValueError(f"a sequence has more than {MOST_SYMBOLS} symbols")
    return _entropy_rates(group_start, symbol, variant == "fastmob", variant == "skmob")


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
def _entropy_rates(group_start, symbol, may_overlap, counts_end_twice):
    found = np.full(group_start.size - 1, np.nan)
    longest = 2
    for g in range(found.size):
        longest = max(longest, group_start[g + 1] - group_start[g])
    names, table = numbering_room(longest)
    sequence = np.empty(longest, np.int32)
    room = automaton_room(longest)
    for g in range(found.size):
        a, b = group_start[g], group_start[g + 1]
        n = b - a
        if n >= 2:
            number_places(symbol[a:b], names, table, sequence)
            build_automaton(sequence[:n], room)
            total = _sum_of_new_pieces(sequence[:n], room, may_overlap, counts_end_twice)
            found[g] = n * math.log2(n) / total
    return found


@kernel
def _sum_of_new_pieces(sequence, room, may_overlap, counts_end_twice):
    """Return the sum of L(i), by two positions that go through the sequence once.

    Where ``sequence[i:j]``, of `length` and in state `at`, was met before, the piece at i is new with the first j at
    which ``sequence[i:j + 1]`` was not. Whatever of it begins later was met as well, so that j never goes back.
    """
    n, bits = sequence.size, table_bits(sequence.size)
    total, i, length, at = 0, 0, 0, ROOT
    for j in range(n):
        longer = target_of(room, n, bits, at, sequence[j])
        while i <= j and room[longer + FIRST] >= (j if may_overlap else i):
            total += j - i + 1 + (counts_end_twice and j == n - 1 and i > 0)
            i += 1
            if length > 0:
                length -= 1
                if length == room[room[at + LINK] + LENGTH]:
                    at = room[at + LINK]
                    longer = target_of(room, n, bits, at, sequence[j])
        if i <= j:
            at, length = longer, length + 1
    rest = n - i
    # All that begins at i or later was met up to the end: rest, rest - 1, ... 1, and one more each.
    return total + rest * (rest + 1) // 2 + (0 if may_overlap else rest)


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
