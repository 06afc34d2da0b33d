"""Small groups: the rule that no number of a report stands for fewer than ten devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MIN_DEVICES = 10
"""Devices behind every number that is not a total of the study (ours)."""


class Bars(NamedTuple):
    """A histogram with bars of unequal width."""

    edges: NDArray[np.float64]
    """Borders, one more than bars."""
    n_rows: NDArray[np.int64]
    n_devices: NDArray[np.int64]
    """Distinct devices per bar: none, or at least the smallest group."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of all rows in each bar."""
        return self.n_rows / self.n_rows.sum()


def merge_bars(
    edges: NDArray[np.float64],
    n_rows: NDArray[np.int64],
    count_devices: Callable[[int, int], int],
    min_devices: int = MIN_DEVICES,
) -> Bars | None:
    """Return the histogram whose bars hold at least `min_devices` devices each, or none at all.

    Bins are joined from the left until a bar is large enough; what is left at the right joins the
    last bar that holds devices. Empty bins at either end are dropped. ``count_devices(a, b)`` gives
    the distinct devices in bins a to b - 1. None where all devices together are too few.
    """
    filled = np.flatnonzero(n_rows)
    if not filled.size or count_devices(int(filled[0]), int(filled[-1]) + 1) < min_devices:
        return None
    borders = [int(filled[0])]
    for end in range(borders[0] + 1, int(filled[-1]) + 2):
        if not n_rows[borders[-1] : end].any() or count_devices(borders[-1], end) >= min_devices:
            borders.append(end)
    stop = int(filled[-1]) + 1
    if borders[-1] != stop:
        while count_devices(borders[-1], stop) < min_devices:
            borders.pop()
        borders.append(stop)
    pairs = list(pairwise(borders))
    rows = np.array([n_rows[a:b].sum() for a, b in pairs])
    return Bars(edges[borders], rows, np.array([count_devices(a, b) for a, b in pairs]))


class Tally:
    """Counts rows and distinct devices per bin, one group of devices after the other."""

    def __init__(self, edges: NDArray[np.float64]) -> None:
        """Use bins between `edges`; values beyond the ends count in the first and last bin."""
        self.edges = edges
        self._n_rows = np.zeros(edges.size - 1, np.int64)
        self._seen: list[NDArray[np.bool_]] = []

    def add(self, device_id: pd.Series, values: NDArray[np.float64]) -> None:
        """Count the values of some devices, none of which may come in another call."""
        n_bins = self._n_rows.size
        bins = np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, n_bins - 1)
        self._n_rows += np.bincount(bins, minlength=n_bins)
        codes, devices = pd.factorize(device_id)
        seen = np.zeros((len(devices), n_bins), np.bool_)
        seen[codes, bins] = True
        self._seen.append(seen)

    def bars(self, min_devices: int = MIN_DEVICES) -> Bars | None:
        """Return the histogram with small bars merged; None where there are too few devices."""

        def count(a: int, b: int) -> int:
            return sum(int(seen[:, a:b].any(axis=1).sum()) for seen in self._seen)

        return merge_bars(self.edges, self._n_rows, count, min_devices)


def quantiles(
    values: NDArray[np.float64], shares: Sequence[float], min_devices: int = MIN_DEVICES
) -> list[float | None]:
    """Return quantiles of a value per device; None where a side holds fewer than `min_devices`."""
    n = values.size
    return [
        float(np.quantile(values, share)) if n and n * min(share, 1 - share) >= min_devices else None
        for share in shares
    ]


def hide_small(counts: Sequence[float], min_devices: int = MIN_DEVICES) -> NDArray[np.float64]:
    """Return counts of devices that make up a known total: NaN where they must not be told.

    Groups of 1 to `min_devices` - 1 are hidden, and the next smallest with them until together they are no small
    group, which the total would otherwise give away.
    """
    shown = np.asarray(counts, float).copy()
    n_hidden = 0.0
    for k in np.argsort(shown, kind="stable"):
        if 0 < shown[k] < min_devices or 0 < n_hidden < min_devices:
            n_hidden += shown[k]
            shown[k] = np.nan
    return shown


def log_edges(lowest: float, highest: float, per_decade: int) -> NDArray[np.float64]:
    """Return borders at equal ratios, `per_decade` in a factor of ten, from `lowest` to beyond `highest`."""
    n = int(np.ceil(np.log10(highest / lowest) * per_decade))
    return lowest * 10 ** (np.arange(n + 1) / per_decade)
