"""Noise, by OpenDP alone: its measurements, and its account of what they lose.

The scale starts from sensitivity / epsilon and is raised until OpenDP's own privacy map says that the loss is no more
than asked for: its arithmetic rounds losses up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.private.trouble import PrivacyError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_THRESHOLD = 1 << 60
"""Where the search for a threshold ends: sums are far below."""


class Sensitivity(NamedTuple):
    """How much a device that is taken out can change the sums, in whole units."""

    n_cells: int
    """In so many cells at most (L0)."""
    total: int
    """By so much in all (L1)."""
    of_cell: int
    """By so much in one cell (Linf)."""


class Noise(NamedTuple):
    """A mechanism with the loss that OpenDP states for it."""

    measurement: Any
    scale: float
    threshold: int | None
    """A noisy value below it is left out; None: all cells of a public domain are released."""
    epsilon: float
    delta: float


def load_opendp() -> Any:
    """Return OpenDP; PrivacyError says what to install."""
    try:
        import opendp.prelude as dp
    except ImportError:
        raise PrivacyError(
            "private releases need OpenDP, which is not installed: pip install 'sojourn[privacy]'"
        ) from None
    dp.enable_features("contrib")
    return dp


def make_noise(sensitivity: Sensitivity, epsilon: float) -> Noise:
    """Return discrete Laplace noise for a vector of whole numbers, all cells of a public domain: delta is 0."""
    dp = load_opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    scale = sensitivity.total / epsilon
    measurement = space >> dp.m.then_laplace(scale=scale)
    while measurement.map(sensitivity.total) > epsilon:
        scale = math.nextafter(scale, math.inf)
        measurement = space >> dp.m.then_laplace(scale=scale)
    return Noise(measurement, scale, None, measurement.map(sensitivity.total), 0.0)


def make_threshold_noise(sensitivity: Sensitivity, epsilon: float, delta: float) -> Noise:
    """Return discrete Laplace noise for the cells with rows alone, of which only those above a threshold are released.

    Which cells have rows is private: the threshold hides a cell that one device alone brings, but for a probability
    of `delta`.
    """
    dp = load_opendp()
    space = (
        dp.map_domain(dp.atom_domain(T="u64"), dp.atom_domain(T="i64")),
        dp.l01inf_distance(dp.absolute_distance(T="i64")),
    )
    scale = make_noise(sensitivity, epsilon).scale
    distance = tuple(sensitivity)

    def measurement(threshold: int) -> Any:
        return space >> dp.m.then_laplace_threshold(scale=scale, threshold=threshold)

    def loses_too_much(threshold: int) -> bool:
        lost = measurement(threshold).map(distance)
        return lost[0] > epsilon or lost[1] > delta

    low = high = sensitivity.of_cell
    while loses_too_much(high):
        if high > MAX_THRESHOLD:
            raise PrivacyError(f"no threshold has a loss of epsilon {epsilon:g} and delta {delta:g}")
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if loses_too_much(middle) else (low, middle)
    found = measurement(high)
    return Noise(found, scale, high, *found.map(distance))


def add_noise(noise: Noise, values: np.ndarray) -> np.ndarray:
    """Return the values of all cells with noise: int64 of the same length."""
    return np.array(noise.measurement(values.tolist()), np.int64)


def add_threshold_noise(noise: Noise, values: Mapping[int, int]) -> dict[int, int]:
    """Return the noisy values of the cells at or above the threshold, by cell."""
    found = noise.measurement(dict(values))
    return {cell: found[cell] for cell in sorted(found)}
