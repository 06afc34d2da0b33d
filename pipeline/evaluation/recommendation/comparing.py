"""Figures with their uncertainty: intervals over people and seeds, orderings of two methods by paired differences."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.params import RecommendParams

RESAMPLING = 2
"""Key of the random stream of bootstrap samples."""
DRAWS_AT_ONCE = 4_000_000
"""Draws of people that are held at a time: bounds memory, changes nothing."""
Verdict = Literal["holds", "does not hold", "undecided"]
HOLDS: Verdict = "holds"
FAILS: Verdict = "does not hold"
UNDECIDED: Verdict = "undecided"
Metric = Literal["hr", "mrr", "coverage"]
Kind = Literal["warm", "cold"]


class Figure(NamedTuple):
    """A mean over people and seeds, with its interval."""

    value: float
    low: float
    high: float


class Ordering(NamedTuple):
    """Whether one method is better than another."""

    better: str
    worse: str
    metric: Metric
    target: str
    """Of `splitting.TARGETS`: what the lists are searched for, and which places they hold."""
    people: Kind
    """Of which people: warm, with check-ins in training, or cold."""
    claim: str
    """Who claims it: "paper" (2403.05185), or "ours"."""
    n_people: int
    difference: Figure
    """Better minus worse. Of coverage the range over pairs of seeds instead of an interval over people and seeds."""
    verdict: Verdict


def mean_with_interval(values: NDArray[np.float64], params: RecommendParams) -> Figure:
    """Return the mean of (seeds, people) with its percentile bootstrap interval over people and seeds; NaN of nobody.

    Both are drawn with replacement (ours): a method that is fitted again on other people would have other random
    numbers too. Of one seed nothing is known of the variance by seeds; of a few it is somewhat too small, (n - 1) / n.
    """
    return _figure(values.mean() if values.size else np.nan, _resampled_means([values], params), params)


def compare_people(
    better: NDArray[np.float64], worse: NDArray[np.float64], params: RecommendParams
) -> tuple[Figure, Verdict]:
    """Return the mean difference of (seeds, people) each, paired over the same people, and the verdict.

    The interval is over people, drawn for both together, and over the seeds of each, drawn apart. It holds where the
    whole interval is above 0, does not where it is below (the contrary does), else it is undecided.
    """
    if not better.size:
        return Figure(np.nan, np.nan, np.nan), UNDECIDED
    difference = _figure(better.mean() - worse.mean(), _resampled_means([better, worse], params), params)
    return difference, _judge(difference)


def _figure(value: float, resampled: list[NDArray[np.float64]], params: RecommendParams) -> Figure:
    """Return a value with the interval of its resampled ones, the first less the others."""
    if not resampled:
        return Figure(np.nan, np.nan, np.nan)
    tail = (1 - params.confidence) / 2
    low, high = np.quantile(resampled[0] - sum(resampled[1:]), [tail, 1 - tail])
    return Figure(float(value), float(low), float(high))


def _resampled_means(values: list[NDArray[np.float64]], params: RecommendParams) -> list[NDArray[np.float64]]:
    """Return the bootstrapped means of each (seeds, people), the same people in all; nothing of nobody."""
    n = values[0].shape[1]
    if not n:
        return []
    random, n_resamples = np.random.default_rng([0, RESAMPLING]), params.n_resamples
    by_seed = [np.empty((n_resamples, len(one))) for one in values]
    size = max(1, DRAWS_AT_ONCE // n)
    for start in range(0, n_resamples, size):
        rows = np.arange(min(size, n_resamples - start))
        drawn = rows[:, None] * n + random.integers(n, size=(rows.size, n))
        # How often each person is drawn, so that means are one product.
        counts = np.bincount(drawn.ravel(), minlength=rows.size * n).reshape(rows.size, n) / n
        for means, one in zip(by_seed, values, strict=True):
            means[start : start + rows.size] = counts @ one.T
    seeds = [random.integers(len(one), size=(n_resamples, len(one))) for one in values]
    return [np.take_along_axis(means, s, axis=1).mean(axis=1) for means, s in zip(by_seed, seeds, strict=True)]


def compare_seeds(better: NDArray[np.float64], worse: NDArray[np.float64]) -> tuple[Figure, Verdict]:
    """Return the mean difference of one figure per seed, with its range over all pairs of seeds, and the verdict.

    For coverage, which is no mean over people. Methods without a seed have one figure; of one each nothing follows.
    """
    differences = better[:, None] - worse[None, :]
    difference = Figure(float(differences.mean()), float(differences.min()), float(differences.max()))
    return difference, _judge(difference) if differences.size > 1 else UNDECIDED


def _judge(difference: Figure) -> Verdict:
    if difference.low > 0:
        return HOLDS
    return FAILS if difference.high < 0 else UNDECIDED
