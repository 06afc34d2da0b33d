"""Models of flows between areas: gravity, fitted, beside radiation and margins, which have nothing to fit.

Flows are a square matrix of trips, origin by destination, its diagonal left out. Models are compared by the common
part of commuters, CPC = 2 sum(min(T, T')) / (sum T + sum T'): 1 where every trip is placed right.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
MAX_STEPS = 100
CONVERGED = 1e-9
"""Newton ends where no coefficient changes by more (ours)."""
MOST_STEP = 2.0
"""Longest change of a coefficient in one step (ours)."""
MOST_CONDITION = 1e14
"""Beyond this a matrix of information tells one coefficient of two (ours)."""


class NotIdentifiedError(ArithmeticError):
    """Flows say nothing definite of a model's coefficients: all trips go to the nearest area, for example."""


class Flows(NamedTuple):
    """Trips between areas and how far these are apart; both of shape (areas, areas)."""

    n_trips: FloatArray
    distance_km: FloatArray


class Fit(NamedTuple):
    """A fitted model: coefficients of the origin, the destination and distance, NaN where it has none."""

    coefficients: FloatArray
    std_errors: FloatArray
    predict: Callable[[Flows], FloatArray]


def flows_of(n_trips: FloatArray, distance_km: FloatArray) -> Flows:
    """Return flows without what stays within an area."""
    off = ~np.eye(len(n_trips), dtype=bool)
    return Flows(n_trips * off, distance_km)


def common_part(n_trips: FloatArray, expected: FloatArray) -> float:
    """Return the common part of commuters of two matrices of trips: 0 to 1. NaN where there are none in either."""
    total = n_trips.sum() + expected.sum()
    return float(2 * np.minimum(n_trips, expected).sum() / total) if total > 0 else float("nan")


def margins_model(flows: Flows) -> FloatArray:
    """Return the trips of each origin shared out by the trips that reach each other area, distance playing no part."""
    return _shared_out(flows, np.broadcast_to(flows.n_trips.sum(axis=0), flows.n_trips.shape))


def radiation_model(flows: Flows) -> FloatArray:
    """Return the trips of each origin shared out by the radiation model (Simini et al. 2012, recalled, unverified).

    In proportion to m n / ((m + s)(m + n + s)), where m and n are the trips that reach the origin and the destination,
    and s those that reach areas nearer to the origin than the destination, in place of residents and jobs (ours).
    """
    reached = flows.n_trips.sum(axis=0)
    n_areas = reached.size
    order = np.argsort(flows.distance_km + np.where(np.eye(n_areas, dtype=bool), -np.inf, 0), axis=1, kind="stable")
    sorted_mass = reached[order]
    nearer = np.cumsum(sorted_mass, axis=1) - sorted_mass - sorted_mass[:, :1]
    s = np.empty_like(flows.n_trips)
    np.put_along_axis(s, order, nearer, axis=1)
    m, n = reached[:, None], reached[None, :]
    both = (m + s) * (m + n + s)
    return _shared_out(flows, np.divide(m * n, both, out=np.zeros_like(both), where=both > 0))


def _shared_out(flows: Flows, weight: FloatArray) -> FloatArray:
    """Return the trips of each origin in proportion to weights of the other areas."""
    weight = np.where(np.eye(len(weight), dtype=bool), 0.0, weight)
    total = weight.sum(axis=1, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    return flows.n_trips.sum(axis=1, keepdims=True) * share


def _deterrent(flows: Flows, is_power: bool) -> FloatArray:
    return -np.log(flows.distance_km) if is_power else -flows.distance_km


def fit_free(flows: Flows, is_power: bool, origins: NDArray[np.int64]) -> Fit:
    """Fit T = exp(k) O^a D^b f(d) to the pairs of some origins by Poisson regression, errors clustered by origin.

    O and D are the trips that leave and reach an area. f is d^-c, or exp(-c d). NotIdentifiedError where there is no
    maximum.
    """
    # Not above: slow to import, and every command and worker would.
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    design = _design(flows, is_power)
    rows = np.zeros(flows.n_trips.shape, bool)
    rows[origins] = True
    rows &= ~np.eye(len(rows), dtype=bool)
    cluster = np.broadcast_to(np.arange(len(rows))[:, None], rows.shape)[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said by an error below
        found = GLM(flows.n_trips[rows], design[rows], family=Poisson()).fit(
            cov_type="cluster", cov_kwds={"groups": cluster}
        )

    if not found.converged or not np.isfinite(found.bse).all():
        raise NotIdentifiedError("the likelihood of a gravity model has no maximum that is found")

    def predict(other: Flows) -> FloatArray:
        return np.where(np.eye(len(other.n_trips), dtype=bool), 0.0, np.exp(_design(other, is_power) @ found.params))

    return Fit(found.params[1:], found.bse[1:], predict)


def _design(flows: Flows, is_power: bool) -> FloatArray:
    left, reached = flows.n_trips.sum(axis=1), flows.n_trips.sum(axis=0)
    shape = flows.n_trips.shape
    columns = (
        np.ones(shape),
        np.broadcast_to(np.log(left)[:, None], shape),
        np.broadcast_to(np.log(reached), shape),
        _deterrent(flows, is_power),
    )
    return np.stack(columns, axis=-1)


def fit_by_origin(flows: Flows, is_power: bool, origins: NDArray[np.int64]) -> Fit:
    """Fit T = O D^b f(d) / sum over destinations to some origins, errors clustered by origin.

    The likelihood of where the trips of an origin go, which has the same maximum as a Poisson regression with an
    effect of each origin, and none of its columns. NotIdentifiedError where Newton's method finds no maximum.
    """
    design, n_trips = _design(flows, is_power)[origins][..., 2:], flows.n_trips[origins]
    beta = _maximum(n_trips, design, origins)
    score, information = _score(n_trips, design, beta, origins)
    inverse = np.linalg.inv(information)
    n = len(origins)
    variance = inverse @ (score.T @ score) @ inverse * n / (n - 1)

    def predict(other: Flows) -> FloatArray:
        utility = _design(other, is_power)[..., 2:] @ beta
        return _shared_out(other, np.exp(utility - utility.max()))

    return Fit(np.array([np.nan, *beta]), np.array([np.nan, *np.sqrt(np.diag(variance))]), predict)


def _maximum(n_trips: FloatArray, design: FloatArray, origins: NDArray[np.int64]) -> FloatArray:
    beta = np.zeros(2)
    for _ in range(MAX_STEPS):
        score, information = _score(n_trips, design, beta, origins)
        if not np.linalg.cond(information) < MOST_CONDITION:
            break
        step = np.linalg.solve(information, score.sum(axis=0))
        step *= min(1.0, MOST_STEP / max(float(np.abs(step).max()), MOST_STEP))
        beta = beta + step
        if np.abs(step).max() < CONVERGED:
            return beta
    raise NotIdentifiedError("the likelihood of a gravity model has no maximum that is found")


def _score(
    n_trips: FloatArray, design: FloatArray, beta: FloatArray, origins: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Return the score of each origin and the information of all."""
    utility = design @ beta
    utility[np.arange(len(origins)), origins] = -np.inf
    share = np.exp(utility - utility.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    left = n_trips.sum(axis=1)
    mean = np.einsum("ij,ijk->ik", share, design)
    score = np.einsum("ij,ijk->ik", n_trips, design) - left[:, None] * mean
    square = np.einsum("i,ij,ijk,ijl->kl", left, share, design, design, optimize=True)
    return score, square - np.einsum("i,ik,il->kl", left, mean, mean)
