"""How good probabilities are on held-out people, and how surely better than others: bootstrap by person."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.bootstrap import poisson_counts
from pipeline.models.metrics import METRICS
from pipeline.models.people.logistic import fit_logistic

Floats = NDArray[np.float64]
LEAST = 1e-6
"""Probabilities are drawn in so far from 0 and 1 before their logarithm is taken (ours)."""
INTERVAL = (0.025, 0.975)
LEAST_PEOPLE = 10
"""Held-out people below whom nothing but their number is told (ours; as the least group of exports)."""
REPLICATES_AT_ONCE = 32
"""Replicates of the bootstrap whose counts of all people are held at a time: bounds memory, changes nothing."""
CURVE, LOSSES = "auc", ("brier", "log_loss")
SLOPE_RIDGE = 1e-6


def losses(is_true: NDArray[np.bool_], probability: Floats) -> dict[str, Floats]:
    """Return the Brier and the log loss of each row; lower is better."""
    p = np.clip(probability, LEAST, 1 - LEAST)
    return {"brier": (probability - is_true) ** 2, "log_loss": -np.where(is_true, np.log(p), np.log1p(-p))}


def area_under_curve(is_true: NDArray[np.bool_], value: Floats, weight: Floats) -> float:
    """Return the chance that a true row has a higher value than a false one, ties as halves, rows weighted; NaN
    without either."""
    return _area(np.unique(value, return_inverse=True)[1], is_true, weight)


def _area(rank: NDArray[np.int64], is_true: NDArray[np.bool_], weight: Floats) -> float:
    true, false = (np.bincount(rank, weight * is_so, rank.max(initial=0) + 1) for is_so in (is_true, ~is_true))
    below = np.cumsum(false) - false / 2
    pairs = true.sum() * false.sum()
    return float(true @ below / pairs) if pairs else float("nan")


def calibration_slope(is_true: NDArray[np.bool_], probability: Floats) -> float:
    """Return the slope of the truth by the logit of the probability: 1 where sound, below it where too sure of itself.

    NaN where all rows are alike in truth or in probability.
    """
    p = np.clip(probability, LEAST, 1 - LEAST)
    logit = np.log(p) - np.log1p(-p)
    if np.ptp(logit) == 0 or is_true.all() or not is_true.any():
        return float("nan")
    return float(fit_logistic(logit[:, None], is_true, SLOPE_RIDGE)[1])


def compare(
    device_id: NDArray[np.int64],
    is_true: NDArray[np.bool_],
    probabilities: Mapping[str, Floats],
    seed: int,
    n_replicates: int,
) -> dict[str, float]:
    """Return metrics by name: of each forecaster, and of the first less each other with its 95 % interval.

    `auc` is higher, `brier` and `log_loss` are lower the better. Intervals are those of a Poisson bootstrap over
    devices (`kernels.bootstrap`), all rows of one counting alike. Metrics that are not defined are left out. Of fewer
    than LEAST_PEOPLE devices their number alone is told: the rest would tell of single ones.
    """
    found = {"n_devices": float(np.unique(device_id).size)}
    if found["n_devices"] < LEAST_PEOPLE:
        return found
    found |= {"n_rows": float(is_true.size), "true_share": float(is_true.mean())}
    replicates = _replicates(device_id, is_true, probabilities, seed, n_replicates)
    for name, probability in probabilities.items():
        found |= {f"{name}.{metric}": float(values[0]) for metric, values in replicates[name].items()}
        found[f"{name}.calibration_slope"] = calibration_slope(is_true, probability)
        found[f"{name}.mean"] = float(probability.mean())
    first, *others = probabilities
    for name in others:
        for metric, values in replicates[name].items():
            less = replicates[first][metric] - values
            found |= with_interval(f"{first}_less_{name}.{metric}", less)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def replicate_counts(devices: NDArray[np.int64], seed: int, n_replicates: int) -> Iterator[Floats]:
    """Yield how often each device counts, (devices, replicates of a block): once each first, then each replicate."""
    yield np.ones((devices.size, 1))
    for first in range(0, n_replicates, REPLICATES_AT_ONCE):
        n = min(REPLICATES_AT_ONCE, n_replicates - first)
        yield poisson_counts(devices, "models/compare", seed, n, first).astype(np.float64)


def _replicates(
    device_id: NDArray[np.int64],
    is_true: NDArray[np.bool_],
    probabilities: Mapping[str, Floats],
    seed: int,
    n_replicates: int,
) -> dict[str, dict[str, Floats]]:
    """Return by forecaster and metric the value of all devices, and then of every replicate."""
    devices, owner = np.unique(device_id, return_inverse=True)
    ranks = {name: np.unique(values, return_inverse=True)[1] for name, values in probabilities.items()}
    sums = {
        name: {metric: np.bincount(owner, values) for metric, values in losses(is_true, probability).items()}
        for name, probability in probabilities.items()
    }
    n_rows = np.bincount(owner)
    parts: dict[str, dict[str, list[Floats]]] = {name: {CURVE: [], **{m: [] for m in LOSSES}} for name in probabilities}
    for counts in replicate_counts(devices, seed, n_replicates):
        n = np.maximum(n_rows @ counts, 1)
        for name, rank in ranks.items():
            parts[name][CURVE].append(np.array([_area(rank, is_true, column[owner]) for column in counts.T]))
            for metric in LOSSES:
                parts[name][metric].append(sums[name][metric] @ counts / n)
    return {name: {metric: np.concatenate(v) for metric, v in each.items()} for name, each in parts.items()}


def with_interval(name: str, values: Floats) -> dict[str, float]:
    """Return the first of some values by name, and the 95 % interval of the others, its replicates."""
    replicates = values[1:][np.isfinite(values[1:])]
    if not replicates.size:
        return {name: float(values[0])}
    low, high = np.quantile(replicates, INTERVAL)
    return {name: float(values[0]), f"{name}.low": float(low), f"{name}.high": float(high)}


BY_LOSS, BY_KIND = "log_loss", "kind_top_1"
JUDGED = {BY_LOSS: (-1, "log loss"), BY_KIND: (1, "kind of the first new place, first named")}
"""What verdicts go by: whether more is better (1) or worse (-1), and what it is called."""


def verdict(metrics: Mapping[str, float], names: list[str], metric: str = BY_LOSS) -> str:
    """Return in one line which of the others the first beats by a metric, its interval beyond 0, and which beat it."""
    (sign, called), (first, *others) = JUDGED[metric], names
    told: dict[str, list[str]] = {}
    for other in others:
        name = f"{first}_less_{other}.{metric}"
        low, high = sorted((sign * metrics[f"{name}.low"], sign * metrics[f"{name}.high"]))
        word = "beats" if low > 0 else "loses to" if high < 0 else "does not beat"
        told.setdefault(word, []).append(WORDS.get(other, other))
    return f"{first} " + "; ".join(f"{word} {', '.join(each)}" for word, each in told.items()) + f" ({called})"


def verdicts(metrics: Mapping[str, float], names: list[str]) -> list[str]:
    """Return a verdict by log loss, and one by the kind named first where kinds were forecast: of those that said."""
    said = {metric: [name for name in names if f"{name}.{metric}" in metrics] for metric in JUDGED}
    return [verdict(metrics, each, metric) for metric, each in said.items() if len(each) > 1]


SHOWN = (CURVE, *LOSSES, "kind_top_1", "kind_top_3")
"""Metrics of a summary."""
WORDS = {"logistic": "the logistic regression", "multinomial": "the multinomial regression"}
"""Forecasters that are called otherwise in sentences."""


def summary(metrics: Mapping[str, float], names: list[str]) -> list[str]:
    """Return the metrics of held-out people in a few lines: each forecaster's, the first above, then the verdicts."""
    if "true_share" not in metrics:
        return [f"not judged: fewer than {LEAST_PEOPLE} held-out people"]
    n = f"{metrics['n_rows']:,.0f} weeks of {metrics['n_devices']:,.0f} people that nothing was learnt from"
    lines = [f"{n}, in {metrics['true_share']:.1%} it was so"]
    for name in names:
        told = [f"{METRICS[m][0]} {metrics[f'{name}.{m}']:.4f}" for m in SHOWN if f"{name}.{m}" in metrics]
        if told:
            lines.append(f"{name}: {', '.join(told)}")
    return [*lines, *verdicts(metrics, names)]
