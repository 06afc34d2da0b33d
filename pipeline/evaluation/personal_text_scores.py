"""Scores of personalised text: perplexity and its differences person by person, variety, ranks, overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL = (2.5, 97.5)
"""Percentiles of an interval of 95 %."""


class Difference(NamedTuple):
    """Mean over people of a difference of one arm to another, with its interval."""

    mean: float
    low: float
    high: float
    n_people: int

    @property
    def is_below_zero(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.high < 0


def mean_by_person(nll: Floats, n_tokens: NDArray[np.int64], people: NDArray[np.int64]) -> Floats:
    """Return the negative log-likelihood per token of each person, in the order of their numbers."""
    _, position = np.unique(people, return_inverse=True)
    return np.bincount(position, nll) / np.bincount(position, n_tokens)


def perplexity(nll_by_person: Floats) -> float:
    """Return the exponential of the mean over people of the negative log-likelihood per token; NaN of nobody."""
    return math.exp(nll_by_person.mean()) if len(nll_by_person) else math.nan


def paired_difference(ours: Floats, theirs: Floats, n_draws: int, seed: int) -> Difference:
    """Return the mean of ours minus theirs, person by person, with a bootstrap interval over people.

    NaN as interval of fewer than two people.
    """
    difference = ours - theirs
    n = len(difference)
    if n < 2:
        return Difference(float(difference.mean()) if n else math.nan, math.nan, math.nan, n)
    from pipeline.models.devices import numpy_generator

    drawn = numpy_generator(seed, "bootstrap over people").integers(n, size=(n_draws, n))
    low, high = np.percentile(difference[drawn].mean(axis=1), LEVEL)
    return Difference(float(difference.mean()), float(low), float(high), n)


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Return the share of distinct ones among all runs of n words of texts (distinct-n); NaN of none.

    Words are what stands between blanks, in lower case. The share falls with the number of words: compare arms on the
    same prompts only.
    """
    words = [text.lower().split() for text in texts]
    runs = [tuple(line[k : k + n]) for line in words for k in range(len(line) - n + 1)]
    return len(set(runs)) / len(runs) if runs else math.nan


def rank_of_first(costs: Floats) -> Floats:
    """Return the rank (1: lowest) of the first column among all of each row; ties share their mean rank."""
    first, rest = costs[:, :1], costs[:, 1:]
    return 1 + (rest < first).sum(axis=1) + 0.5 * (rest == first).sum(axis=1)


def hit_rate(costs: Floats) -> float:
    """Return the share of rows whose first column is the lowest; among k tied lowest it counts 1/k. NaN of no rows."""
    if not len(costs):
        return math.nan
    is_lowest = costs == costs.min(axis=1, keepdims=True)
    return float((is_lowest[:, 0] / is_lowest.sum(axis=1)).mean())


def rouge_l(found: str, true: str) -> float:
    """Return the F1 of the longest common subsequence of words (ROUGE-L); 0 where either is empty."""
    a, b = found.lower().split(), true.lower().split()
    lengths = [0] * (len(b) + 1)
    for word in a:
        diagonal = 0
        for k, other in enumerate(b, 1):
            above = lengths[k]
            lengths[k] = diagonal + 1 if word == other else max(above, lengths[k - 1])
            diagonal = above
    return 2 * lengths[-1] / (len(a) + len(b)) if a and b else 0.0
