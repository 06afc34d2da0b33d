"""Maximum likelihood of two laws, from counts: a power law with exponential cutoff, and the decline of new places.

Counts in bins add up over devices, so both are fitted to sums and never to single values.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
MOST_EXPONENT = 10.0
"""Steeper laws are beyond what bins of a tenth of a decade tell apart (ours)."""
LEAST_MASS = 1e-300
"""A bin in which a law expects less is as good as empty."""
LEAST_LOG, MOST_LOG = 1e-9, 50.0
"""Between these minus the logarithm of rho is looked for: rho from nought to 1."""
NO_CUTOFF = 10.0
"""A cutoff of so many times the end of the last bin bends nothing: the search ends there (ours)."""


def fit_truncated_power(n: NDArray[np.int64], edges: NDArray[np.float64]) -> tuple[float, float]:
    """Return exponent and cutoff of the density x^-exponent exp(-x / cutoff) between the first and last of `edges`.

    `n` counts values by bin, bins being long by the logarithm of x. The cutoff is in units of x, at most `NO_CUTOFF`
    times the last edge. ValueError without values.
    """
    if not n.sum():
        raise ValueError("no values to fit to")
    log_edges = np.log(edges)
    half = np.diff(log_edges)[:, None] / 2
    log_x = log_edges[:-1, None] + half * (1 + NODES)

    share = n / n.sum()
    x = np.exp(log_x - log_edges[-1])

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        pull = x * np.exp(log_edges[-1] - at[1])
        log_density = (1 - at[0]) * log_x - pull
        density = np.exp(log_density - log_density.max()) * WEIGHTS * half
        mass = np.maximum(density.sum(axis=1), LEAST_MASS)
        slopes = np.array([-(density * log_x).sum(axis=1), (density * pull).sum(axis=1)])
        value = np.log(mass.sum()) - share @ np.log(mass)
        return float(value), slopes.sum(axis=1) / mass.sum() - slopes @ (share / mass)

    bounds = [(-MOST_EXPONENT, MOST_EXPONENT), (log_edges[0], log_edges[-1] + np.log(NO_CUTOFF))]
    starts = [(1.5, log_edges[-1]), (0.5, log_edges.mean())]
    best = min(
        (minimize(loss, start, method="TNC", jac=True, bounds=bounds) for start in starts), key=lambda found: found.fun
    )
    return float(best.x[0]), float(np.exp(best.x[1]))


def fit_exploration(
    n_places: NDArray[np.int64], n_moves: NDArray[np.int64], n_new: NDArray[np.int64]
) -> tuple[float, float]:
    """Return rho and gamma of P(new) = rho S^-gamma from moves, and those to new places, by places S so far.

    rho is at most 1 and gamma at least 0. ValueError without moves.
    """
    if not n_moves.sum():
        raise ValueError("no moves to fit to")
    log_s, total = np.log(n_places.astype(np.float64)), n_moves.sum()

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_p = np.minimum(-at[0] - at[1] * log_s, -LEAST_LOG)
        rest = -np.expm1(log_p)
        slope = n_new - (n_moves - n_new) * np.exp(log_p) / rest
        value = -(n_new @ log_p + (n_moves - n_new) @ np.log(rest))
        return float(value / total), np.array([slope.sum(), slope @ log_s]) / total

    best = minimize(loss, (0.5, 0.2), method="TNC", jac=True, bounds=[(LEAST_LOG, MOST_LOG), (0.0, MOST_EXPONENT)])
    return float(np.exp(-best.x[0])), float(best.x[1])
