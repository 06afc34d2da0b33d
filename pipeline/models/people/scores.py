"""How good probabilities are on held-out people, and how surely better than others: bootstrap by person."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.bootstrap import poisson_counts
from pipeline.models.people.logistic import fit_logistic

Floats = NDArray[np.float64]
LEAST = 1e-6
"""Probabilities are drawn in so far from 0 and 1 before their logarithm is taken (ours)."""
INTERVAL = (0.025, 0.975)
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
    rows = [(logit[:, None], is_true.astype(float))]
    return float(fit_logistic(lambda: rows, 1, SLOPE_RIDGE)[1])


def compare(
    device_id: NDArray[np.int64],
    is_true: NDArray[np.bool_],
    probabilities: Mapping[str, Floats],
    seed: int,
    n_replicates: int,
) -> dict[str, float]:
    """Return metrics by name: of each forecaster, and of the first less each other with its 95 % interval.

    `auc` is higher, `brier` and `log_loss` are lower the better. Intervals are those of a Poisson bootstrap over
    devices (`kernels.bootstrap`), all rows of one counting alike. Metrics that are not defined are left out.
    """
    found = {"n_rows": float(is_true.size), "n_devices": float(np.unique(device_id).size)}
    if not is_true.size:
        return found
    found["true_share"] = float(is_true.mean())
    devices, owner = np.unique(device_id, return_inverse=True)
    counts = poisson_counts(devices, "models/compare", seed, n_replicates).astype(np.float64)
    replicates = {}
    for name, probability in probabilities.items():
        replicates[name] = _replicates(owner, is_true, probability, counts)
        found |= {f"{name}.{metric}": float(values[0]) for metric, values in replicates[name].items()}
        found[f"{name}.calibration_slope"] = calibration_slope(is_true, probability)
        found[f"{name}.mean"] = float(probability.mean())
    first = next(iter(probabilities))
    for name in list(probabilities)[1:]:
        for metric, values in replicates[name].items():
            found |= _difference(f"{first}_less_{name}.{metric}", replicates[first][metric] - values)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _replicates(
    owner: NDArray[np.int64], is_true: NDArray[np.bool_], probability: Floats, counts: Floats
) -> dict[str, Floats]:
    """Return each metric of all devices, and then of every replicate."""
    counts = np.column_stack((np.ones(len(counts)), counts))
    n_rows = np.bincount(owner) @ counts
    found = {
        name: np.bincount(owner, values) @ counts / np.maximum(n_rows, 1)
        for name, values in losses(is_true, probability).items()
    }
    rank = np.unique(probability, return_inverse=True)[1]
    curve = [_area(rank, is_true, column[owner]) for column in counts.T]
    return {CURVE: np.array(curve), **found}


def _difference(name: str, values: Floats) -> dict[str, float]:
    replicates = values[1:][np.isfinite(values[1:])]
    if not replicates.size:
        return {name: float(values[0])}
    low, high = np.quantile(replicates, INTERVAL)
    return {name: float(values[0]), f"{name}.low": float(low), f"{name}.high": float(high)}


def verdict(metrics: Mapping[str, float], names: list[str]) -> str:
    """Return in one line which of the others the first beats by log loss, surely or not, and which beat it."""
    first, *others = names
    told: dict[str, list[str]] = {}
    for other in others:
        name = f"{first}_less_{other}.log_loss"
        if name not in metrics:
            return "not scored: too few held-out rows"
        low, high = (metrics.get(f"{name}.{end}", metrics[name]) for end in ("low", "high"))
        word = "beats" if high < 0 else "loses to" if low > 0 else "is not surely apart from"
        told.setdefault(word, []).append(other)
    return f"{first} " + "; ".join(f"{word} {', '.join(each)}" for word, each in told.items()) + " (log loss)"
