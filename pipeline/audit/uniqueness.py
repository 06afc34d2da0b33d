"""How many devices a few random points of their own identify."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.audit.params import AuditParams
from pipeline.kernels.bootstrap import bootstrap_sums
from pipeline.kernels.keyed_random import keyed_bits
from pipeline.kernels.uniqueness import PointIndex, fewest_with_points, index_points, n_points_to_be_alone
from pipeline.study import StudyError

STREAM = "audit"
LEVEL = 0.95
"""Of the intervals."""
MAX_CHOICES = 20_000_000
"""Most choices of points that are tried (ours): a minute or so."""


class Unique(NamedTuple):
    """How many devices are told from all others by `n_known` random points of their own."""

    n_known: int
    n_devices: int
    """Devices that have so many points."""
    share: float | None
    """Share of them that nobody else's points match; mean over draws, or for the worst choice; None without devices."""
    low: float | None
    """95 % interval, bootstrap over devices; where all or no devices are alone it has no width."""
    high: float | None


def audit_uniqueness(points: pd.DataFrame, params: AuditParams) -> list[Unique]:
    """Return for 1 to `max_points` known points how many devices they identify.

    `points` are those of `read_points`. The attacker knows places and times as coarse as the params say; the others
    are the devices in the data, not a whole population, so shares are those of this panel.
    """
    n_devices = int(points["device"].max()) + 1 if len(points) else 0
    code = points.groupby(["place", "bin"]).ngroup().to_numpy(np.int64)
    index = index_points(points["device"].to_numpy(np.int64), code, n_devices)
    if params.is_exhaustive:
        _check_choices(index, params.max_points)
        needed = [fewest_with_points(*index, known) == 1 for known in range(1, params.max_points + 1)]
        alone = [is_alone[None, :] for is_alone in needed]
    else:
        draws = np.stack([_needed(index, params, draw) for draw in range(params.n_draws)])
        alone = [(draws > 0) & (draws <= known) for known in range(1, params.max_points + 1)]
    return [_share(index.n_points, one, 1 + at, params) for at, one in enumerate(alone)]


def _check_choices(index: PointIndex, max_points: int) -> None:
    n_choices = sum(comb(n, known) for n in index.n_points.tolist() for known in range(1, max_points + 1))
    if n_choices > MAX_CHOICES:
        raise StudyError(
            f"--exhaustive: {n_choices:.2g} choices of points are more than {MAX_CHOICES:.2g}; take fewer --points, "
            "coarser places and times, or random points"
        )


def _needed(index: PointIndex, params: AuditParams, draw: int) -> np.ndarray:
    """Return after how many of its points, in a random order, each device is alone; 0: never."""
    owner = np.repeat(np.arange(index.start.size - 1), index.n_points)
    at = np.arange(owner.size) - index.start[owner]
    bits = keyed_bits(owner, f"{STREAM} {draw}", params.seed, at)
    order = at[np.lexsort((bits, owner))]
    return n_points_to_be_alone(*index, order, params.max_points)


def _share(n_points: np.ndarray, is_alone: np.ndarray, known: int, params: AuditParams) -> Unique:
    """Return the share of devices with `known` points that are alone; `is_alone` is draw × device."""
    device = np.flatnonzero(n_points >= known)
    if not device.size:
        return Unique(known, 0, None, None, None)
    n_alone = is_alone[:, device].sum(axis=0)
    values = np.stack([n_alone, np.full(device.size, len(is_alone))], axis=1)
    sums = bootstrap_sums(device, np.zeros_like(device), values, 1, STREAM, params.seed, params.n_replicates)[0]
    shares = sums[0][sums[1] > 0] / sums[1][sums[1] > 0]
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Unique(known, device.size, float(n_alone.sum() / values[:, 1].sum()), float(low), float(high))
