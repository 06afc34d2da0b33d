"""The exploration curve: mean distinct locations by day since the first visit, with its band."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.report.groups import MIN_DEVICES

N_REPLICATES = 500
BAND = (2.5, 97.5)
"""Percentiles of the replicates: a 95 % band."""
CHUNK_DEVICES = 2048
_POISSON_CDF = np.cumsum(np.exp(-1) / np.cumprod([1.0, *range(1, 20)]))


class Curve(NamedTuple):
    """Mean number of distinct locations up to each day since a device's first visit."""

    points: pd.DataFrame
    """``day``, ``n_locations``, ``low``, ``high``; empty where the panel would be too small."""
    n_panel: int
    n_devices: int


def visit_spans(visits: pd.DataFrame) -> NDArray[np.int64]:
    """Return the days from first to last visit of each device."""
    dates = visits.groupby("device_id")["date"]
    return (dates.max() - dates.min()).dt.days.to_numpy(np.int64)


def panel_days(spans: NDArray[np.int64], min_devices: int = MIN_DEVICES) -> int | None:
    """Return the largest number of days over which half of the devices, and `min_devices`, are followed.

    A fixed panel keeps the curve from falling when devices leave (ours). None where devices are too few.
    """
    needed = max(min_devices, (spans.size + 1) // 2)
    return int(np.sort(spans)[-needed]) if spans.size >= needed else None


def locations_by_day(visits: pd.DataFrame, n_days: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return devices followed for `n_days`, and distinct locations of each on days 0 to `n_days`.

    `visits` has device_id, date and is_new. Row d of the array is device d's S(t), t in days since
    the local date of its first visit.
    """
    dates = visits.groupby("device_id")["date"]
    first = dates.transform("min")
    is_followed = (dates.transform("max") - first).dt.days >= n_days
    day = (visits["date"] - first).dt.days
    new = visits[is_followed & (day <= n_days) & visits["is_new"]]
    codes, devices = pd.factorize(new["device_id"])
    counts = np.zeros((len(devices), n_days + 1))
    np.add.at(counts, (codes, day[new.index].to_numpy()), 1)
    return np.asarray(devices, np.int64), counts.cumsum(axis=1)


def poisson_weights(device_id: NDArray[np.int64], n_replicates: int, seed: int) -> NDArray[np.float64]:
    """Return how often each device is drawn in each replicate: shape (replicates, devices).

    Poisson with mean 1. A weight is a function of device, replicate and seed alone, so buckets do not
    change the band.
    """
    stream = _mix(np.array([seed % 2**64], dtype=np.uint64))
    replicate = _mix(np.arange(n_replicates, dtype=np.uint64) ^ stream)
    bits = _mix(device_id.view(np.uint64)[None, :] ^ replicate[:, None])
    uniform = (bits >> np.uint64(11)) * 2.0**-53
    return np.searchsorted(_POISSON_CDF, uniform, side="right").astype(float)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64 well mixed bits of each value (the splitmix64 finalizer)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def exploration_curve(
    frames: Iterable[pd.DataFrame], n_days: int, n_devices: int, seed: int, n_replicates: int = N_REPLICATES
) -> Curve:
    """Return the mean of S(t) over the devices followed for `n_days`, with a bootstrap band by device.

    The bootstrap draws devices with Poisson weights, which needs one pass whatever their number;
    the band is that of the ratio of weighted sums.
    """
    total, n_panel = np.zeros(n_days + 1), 0
    sums, weights = np.zeros((n_replicates, n_days + 1)), np.zeros((n_replicates, 1))
    for device_id, counts in _chunks(frames, n_days):
        drawn = poisson_weights(device_id, n_replicates, seed)
        total, n_panel = total + counts.sum(axis=0), n_panel + device_id.size
        sums, weights = sums + drawn @ counts, weights + drawn.sum(axis=1, keepdims=True)
    # A replicate without any device has no mean; with ten devices that is one in twenty thousand.
    is_drawn = weights[:, 0] > 0
    low, high = np.percentile(sums[is_drawn] / weights[is_drawn], BAND, axis=0)
    points = {"day": np.arange(n_days + 1), "n_locations": total / n_panel, "low": low, "high": high}
    return Curve(pd.DataFrame(points), n_panel, n_devices)


def _chunks(frames: Iterable[pd.DataFrame], n_days: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    for visits in frames:
        device_id, counts = locations_by_day(visits, n_days)
        for a in range(0, device_id.size, CHUNK_DEVICES):
            yield device_id[a : a + CHUNK_DEVICES], counts[a : a + CHUNK_DEVICES]
