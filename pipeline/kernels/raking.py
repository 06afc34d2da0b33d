"""Weights of areas: trimmed to bounds, raked to shares of groups, and what they cost in certainty.

Raking to shares that are not 0 or 1 is the calibration of survey statistics with the exponential distance, weights
bounded: of all weights that meet the shares, those nearest to the given ones. Its dual is one smooth convex function
of as many numbers as there are groups, which scipy minimises.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize

from pipeline.kernels._numba import kernel

# The least ratio a weight may have to the largest before bounds are looked for: keeps logarithms finite.
LEAST = 1e-12
# Steps of the minimiser beyond which it has failed; it takes 5 to 100.
MAX_STEPS = 500
# Where it stops: a gradient is a difference of shares. It may stop before, when steps no longer change the float that
# it minimises; up to ARRIVED, a thousandth of a percentage point, that is taken for arrived.
FLAT, ARRIVED = 1e-10, 1e-5


class RakingError(ArithmeticError):
    """Weights could not be raked: the minimiser did not arrive."""


def bounded(n: NDArray[np.int64], weight: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return weights in [`low`, `high`] whose mean over devices is 1, in proportion where no bound is met.

    Area a has ``n[a]`` devices of ``weight[a]``; what trimming takes away or adds is shared out in proportion among
    the weights not trimmed, until none breaks a bound. Weights of zero count as tiny. ValueError where the bounds do
    not hold 1 between them, or where there are no devices or only weights of zero.
    """
    if not 0 < low <= 1 <= high:
        raise ValueError(f"bounds of weights must hold 1 between them: {low:g} to {high:g}")
    if not (n.sum() > 0 and weight.max() > 0):
        raise ValueError("no devices, or none with a weight")
    weight = np.maximum(weight / weight.max(), LEAST)

    def surplus(log_scale: float) -> float:
        return float((n * np.clip(np.exp(log_scale) * weight, low, high)).sum() / n.sum()) - 1

    least, most = np.log(low), np.log(high / weight.min())
    log_scale = least if surplus(least) >= 0 else brentq(surplus, least, most, xtol=1e-15, rtol=1e-15)
    return np.clip(np.exp(log_scale) * weight, low, high)


def rake(
    n: NDArray[np.int64],
    base: NDArray[np.float64],
    excess: NDArray[np.float64],
    low: float,
    high: float,
    slack: float,
) -> NDArray[np.float64]:
    """Return the weights nearest to `base` that bring every group's weighted excess to zero, as far as bounds let them.

    Area a has ``n[a]`` devices of weight ``base[a]``; ``excess[a, g]`` is the share of group g among its people less
    the share in the population. The result lies in [`low`, `high`], its mean over devices is 1, and it is ``base``
    times exp(a sum over groups), clipped: calibration by the exponential distance, a standard. Groups may depend on
    each other or contradict each other: `slack` (> 0) is the excess left for each unit of a group's term, which makes
    the answer unique, and where shares cannot be met all of them are missed as little as the sum of squares can be.
    What is left is for the caller to look at (`weighted_excess`).

    ValueError for bounds that do not hold 1 between them, a `base` outside them or no `slack`; `RakingError` where
    the minimiser fails.
    """
    if not 0 < low <= 1 <= high or not slack > 0:
        raise ValueError("bounds must hold 1 between them, and slack be positive")
    if base.min() < low or base.max() > high:
        raise ValueError("base weights lie outside the bounds")
    terms = np.column_stack([np.ones(n.size), excess])
    share, log_base = n / n.sum(), np.log(base)
    ridge = np.full(terms.shape[1], slack)
    ridge[0] = 0.0  # the mean of 1 is not up for compromise

    def parts(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        value, slope, bend = _dual(at, terms, share, log_base, np.log(low), np.log(high))
        slope[0] -= 1
        return value - at[0] + (ridge * at * at).sum() / 2, slope + ridge * at, bend + np.diag(ridge)

    found = minimize(
        lambda at: parts(at)[:2],
        np.zeros(terms.shape[1]),
        jac=True,
        hess=lambda at: parts(at)[2],
        method="trust-exact",
        options={"gtol": FLAT, "maxiter": MAX_STEPS, "max_trust_radius": 1e9},
    )
    if not np.abs(parts(found.x)[1]).max() <= ARRIVED:
        raise RakingError(f"raking stopped after {found.nit} steps, short of its aim: allow it more slack")
    return bounded(n, np.exp(np.clip(log_base + terms @ found.x, np.log(low), np.log(high))), low, high)


def weighted_excess(
    n: NDArray[np.int64], weight: NDArray[np.float64], excess: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return every group's weighted share of the devices less its share in the population: 0 where shares are met."""
    each = n * weight
    return (each[:, None] * excess).sum(axis=0) / each.sum()


def effective_size(total: NDArray[np.float64], total_of_squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return as many devices of equal weight as would be as certain: (sum w)^2 / sum w^2 (Kish); 0 for no weight."""
    total, total_of_squares = np.asarray(total, np.float64), np.asarray(total_of_squares, np.float64)
    return np.divide(total * total, total_of_squares, out=np.zeros_like(total), where=total_of_squares > 0)


@kernel
def _dual(at, terms, share, log_base, log_low, log_high):
    """Return the dual's value, gradient and Hessian: sums over areas in their order, so that they never differ.

    An area adds its weight, integrated over its exponent: exp within the bounds, a straight line beyond them.
    """
    n_areas, n_terms = terms.shape
    value, slope, bend = 0.0, np.zeros(n_terms), np.zeros((n_terms, n_terms))
    for a in range(n_areas):
        exponent = log_base[a]
        for k in range(n_terms):
            exponent += terms[a, k] * at[k]
        inner = min(max(exponent, log_low), log_high)
        weight = np.exp(inner)
        value += share[a] * weight * (1 + exponent - inner)
        is_free = inner == exponent
        for k in range(n_terms):
            pull = share[a] * weight * terms[a, k]
            slope[k] += pull
            if is_free:
                for j in range(n_terms):
                    bend[k, j] += pull * terms[a, j]
    return value, slope, bend
