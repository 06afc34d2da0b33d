"""Scores of patterns: how far beyond chance a piece of a sequence recurs in it.

What is expected are counts in sequences of the same places without an order. It follows from how often each place is in
the sequence and is the same for every sequence of them, so that scores of a sequence and of shuffled ones compare.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel

BALANCE_ROUNDS = 100
"""Rounds in which the expected neighbours of each place are brought to its number of visits (ours)."""
LEAST_SPREAD = 0.05
"""Least variance by mean of a count that a score is taken at, and factor of it: where the order is all but forced, the
approximation ends (ours)."""


class Odds(NamedTuple):
    """How often patterns of places are expected without an order; natural logarithms, by symbol."""

    n_visits: NDArray[np.int64]
    end: NDArray[np.float64]
    """Added for the first and the last symbol of a pattern."""
    inner: NDArray[np.float64]
    """Added for every other symbol."""
    pair: NDArray[np.float64]
    """[0]: added for every pair of neighbours."""


@kernel
def odds_of(sequence, has_repeats):
    """Return the odds of the sequence's places.

    A pattern is expected as a chain with the places' shares and the shares of pairs: products of both places' where
    places may follow themselves, else those of a table without its diagonal that has the places' shares as margins.
    """
    n_visits = np.bincount(sequence)
    share = n_visits / sequence.size
    pull, total = share.copy(), 1.0
    if not has_repeats:
        pull, total = _balanced(share)
    end = np.log(pull)
    return Odds(n_visits, end, 2 * end - np.log(share), np.full(1, -math.log(total)))


@kernel
def _balanced(share):
    """Return a factor for each place, and the sum of the products of all ordered pairs of different places.

    The product of two factors over that sum is the expected share of the pair; sums over either place approach
    `share`, which they meet unless one place is every other symbol.
    """
    pull = np.ones(share.size)
    for _ in range(BALANCE_ROUNDS):
        total = pull.sum()
        pull = np.sqrt(pull * share / (total - pull))
    return pull, pull.sum() ** 2 - (pull * pull).sum()


@kernel
def expected_of(sequence, start, length, odds):
    """Return the logarithm of how often the pattern that begins at `start` is expected, and variance by mean of that.

    Occurrences that overlap one before are not counted, so that each stands for those that would follow it. There are
    no more occurrences than visits to each place of the pattern, so the variance is less than a Poisson number's.
    """
    log_expected = math.log(sequence.size - length + 1) + (length - 1) * odds.pair[0]
    log_expected += odds.end[sequence[start]] + odds.end[sequence[start + length - 1]]
    for k in range(start + 1, start + length - 1):
        log_expected += odds.inner[sequence[k]]
    expected, spread, again = math.exp(log_expected), 1.0, 0.0
    for k in range(start, start + length):
        spread *= max(LEAST_SPREAD, 1 - expected / odds.n_visits[sequence[k]])
    for shift in range(1, length):
        if is_at(sequence, start, length - shift, start + shift):
            again += math.exp(_log_going_on(sequence, start + length - 1 - shift, shift, odds))
    return log_expected - math.log1p(again), max(LEAST_SPREAD, spread)


@kernel
def _log_going_on(sequence, at, n, odds):
    """Return the logarithm of the probability of the n places after `at`, given the place there."""
    log_p = n * odds.pair[0]
    for k in range(at, at + n):
        log_p += odds.end[sequence[k + 1]] + odds.inner[sequence[k]] - odds.end[sequence[k]]
    return log_p


@kernel
def score_of(count, log_expected, spread):
    """Return the signed root of the deviance of a count from what is expected; 0 where it is no more than that."""
    if count < 1 or math.log(count) <= log_expected:
        return 0.0
    deviance = 2 * (count * (math.log(count) - log_expected) - count + math.exp(log_expected))
    return math.sqrt(max(0.0, deviance) / spread)


class Places(NamedTuple):
    """Where in a sequence each symbol is."""

    at: NDArray[np.int64]
    first: NDArray[np.int64]


@kernel
def places_of(sequence, n_visits):
    """Return where each symbol is."""
    at, first = np.empty(sequence.size, np.int64), np.empty(n_visits.size + 1, np.int64)
    first[0] = 0
    for symbol in range(n_visits.size):
        first[symbol + 1] = first[symbol] + n_visits[symbol]
    # Ends move down to the beginnings, and are what they were again one symbol on.
    for k in range(sequence.size - 1, -1, -1):
        first[sequence[k] + 1] -= 1
        at[first[sequence[k] + 1]] = k
    for symbol in range(n_visits.size):
        first[symbol] = first[symbol + 1]
    first[n_visits.size] = sequence.size
    return Places(at, first)


@kernel
def rarest_of(sequence, start, length, n_visits):
    """Return where the rarest symbol of a pattern is first."""
    rarest = start
    for k in range(start + 1, start + length):
        if n_visits[sequence[k]] < n_visits[sequence[rarest]]:
            rarest = k
    return rarest


@kernel
def is_at(sequence, start, length, at):
    """Whether the pattern that begins at `start` is at `at`, too."""
    if at < 0 or at + length > sequence.size:
        return False
    k = 0
    while k < length and sequence[at + k] == sequence[start + k]:
        k += 1
    return k == length


@kernel
def count_of(sequence, start, length, n_visits, places):
    """Return how often the pattern that begins at `start` occurs, counting from the left without overlaps."""
    rarest = rarest_of(sequence, start, length, n_visits)
    symbol = sequence[rarest]
    free, count = 0, 0
    for k in range(places.first[symbol], places.first[symbol + 1]):
        at = places.at[k] - (rarest - start)
        if at >= free and is_at(sequence, start, length, at):
            count += 1
            free = at + length
    return count
