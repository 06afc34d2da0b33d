"""Figures with their uncertainty: intervals over people, orderings of two methods by paired differences."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.params import RecommendParams

RESAMPLING = 2
"""Key of the random stream of bootstrap samples."""
Verdict = Literal["holds", "does not hold", "undecided"]
HOLDS: Verdict = "holds"
FAILS: Verdict = "does not hold"
UNDECIDED: Verdict = "undecided"
Metric = Literal["hr", "mrr", "coverage"]


class Figure(NamedTuple):
    """A mean over people (each the mean over seeds), with its interval."""

    value: float
    low: float
    high: float


class Ordering(NamedTuple):
    """Whether one method is better than another."""

    better: str
    worse: str
    metric: Metric
    target: str
    """"new": places new to a person; "any"."""
    claim: str
    """Who claims it: "paper" (2403.05185), or "ours"."""
    difference: Figure
    """Better minus worse. Of coverage the range over pairs of seeds instead of an interval over people."""
    verdict: Verdict


def mean_with_interval(values: NDArray[np.float64], params: RecommendParams, seed: int = 0) -> Figure:
    """Return the mean of one value per person with its percentile bootstrap interval over people; NaN of nobody."""
    if not values.size:
        return Figure(np.nan, np.nan, np.nan)
    random = np.random.default_rng([seed, RESAMPLING])
    n = len(values)
    means = [values[random.integers(n, size=n)].mean() for _ in range(params.n_resamples)]
    tail = (1 - params.confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Figure(float(values.mean()), float(low), float(high))


def compare_people(
    better: NDArray[np.float64], worse: NDArray[np.float64], params: RecommendParams
) -> tuple[Figure, Verdict]:
    """Return the mean paired difference over the same people, and the verdict.

    It holds where the whole interval is above 0, does not where it is below (the contrary does), else it is undecided.
    """
    difference = mean_with_interval(better - worse, params)
    return difference, _judge(difference)


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
