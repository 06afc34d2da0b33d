"""`displacement`: how far devices are from where they were some hours before."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import DISPLACEMENT, VISITS
from pipeline.kernels.bootstrap import bootstrap_sums
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.presence import distances_m
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.sums import from_fixed, group_sums, to_fixed

HOUR_US = 3_600_000_000
UNIT_M2 = 1e9
"""Unit of sums, 1000 km²: those of twenty thousand devices at the antipodes fit fixed point."""
KM2_PER_UNIT = 1000.0
BLOCK_DEVICES = 500
"""Devices whose hours are held at the same time. Changes no number."""
NAMES = ["sum", "n_devices"]


class DisplacementParams(Params):
    """Which pairs of positions are compared, and how intervals are made."""

    method: Literal["hours", "first"] = "hours"
    """"hours": from every whole hour (UTC) at which a device is on a visit to the hour that is the lag later, if it is
    on a visit then too. "first": from the first visit to the last one that has begun by the lag after its start, one
    pair a device, as scikit-mobility and fastmob do: where a record is shorter, they take its last position."""
    lags_hours: tuple[int, ...] = Field(default=(1, 2, 3, 6, 12, 24, 48, 96, 168), min_length=1)
    """Lags (ours)."""
    n_replicates: int = Field(default=200, ge=20, le=10_000)
    """Replicates of the bootstrap over devices (ours)."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Coverage of the interval: percentiles of the replicates (ours)."""


def _finish(parts: pd.DataFrame, seed: int, params: DisplacementParams) -> pd.DataFrame:
    """Return the means over the devices of all buckets."""
    drawn = [(f"sum_{k}", f"n_devices_{k}") for k in range(params.n_replicates)]
    sums = group_sums(parts, ["lag_hours"], [*NAMES, "n_pairs", *(name for pair in drawn for name in pair)])
    means = np.column_stack([_mean(sums, *pair) for pair in drawn])
    tail = (1 - params.level) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail], axis=1) if len(sums) else np.empty((2, 0))
    return sums.assign(mean_square_km2=_mean(sums, *NAMES), mean_square_low_km2=low, mean_square_high_km2=high)[
        DISPLACEMENT.names
    ]


def _mean(sums: pd.DataFrame, total: str, n: str) -> np.ndarray:
    n_drawn = sums[n].to_numpy(np.float64)
    return from_fixed(sums[total]) * KM2_PER_UNIT / np.where(n_drawn > 0, n_drawn, np.nan)


@stage(reads=(VISITS,), writes=DISPLACEMENT, params=DisplacementParams, needs=("seed",), finish=_finish)
def displacement(visits: pd.DataFrame, seed: int, params: DisplacementParams) -> pd.DataFrame:
    """Return sums of the devices' mean square displacements of a bucket by lag: a part of the table.

    The mean of |r(t + lag) - r(t)|² over all t of a device, then over devices, each weighing one.
    """
    pairs = _pairs if params.method == "hours" else _first_pairs
    blocks = [block for frame in _device_blocks(visits) for block in pairs(frame, params.lags_hours)]
    rows = pd.concat([_EMPTY, *blocks], ignore_index=True)
    lags, group = np.unique(rows["lag_hours"].to_numpy(np.int64), return_inverse=True)
    values = np.column_stack([to_fixed(rows["mean_m2"] / UNIT_M2), np.ones(len(rows), np.int64)])
    device = rows["device_id"].to_numpy(np.int64)
    drawn = bootstrap_sums(device, group, values, lags.size, DISPLACEMENT.name, seed, params.n_replicates)
    plain = np.zeros((lags.size, 3), np.int64)
    np.add.at(plain, group, np.column_stack([values, rows["n_pairs"].to_numpy(np.int64)]))
    names = [*NAMES, "n_pairs", *(f"{name}_{k}" for name in NAMES for k in range(params.n_replicates))]
    sums = np.concatenate([plain, drawn.reshape(lags.size, 2 * params.n_replicates)], axis=1)
    return pd.DataFrame(sums, columns=names).assign(lag_hours=lags)


_EMPTY = pd.DataFrame({"device_id": [], "lag_hours": [], "mean_m2": [], "n_pairs": []}).astype(
    {"device_id": "int64", "lag_hours": "int64", "mean_m2": "float64", "n_pairs": "int64"}
)


def _device_blocks(visits: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the visits of some devices at a time."""
    start = group_starts(visits["device_id"].to_numpy())
    cuts = [*start[:-1:BLOCK_DEVICES], len(visits)]
    yield from (visits.iloc[a:b] for a, b in pairwise(cuts))


def _pairs(visits: pd.DataFrame, lags: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Yield the mean square displacement of each device at each lag over the hours at which it is on a visit."""
    started, finished = (visits[name].astype("int64").to_numpy() for name in ("started_at", "finished_at"))
    first, after = -(-started // HOUR_US), -(-finished // HOUR_US)
    row = np.repeat(np.arange(len(visits)), after - first)
    hour = np.arange(row.size) - np.repeat(np.cumsum(after - first) - (after - first), after - first) + first[row]
    if not row.size:
        return
    device, number = np.unique(visits["device_id"].to_numpy(), return_inverse=True)
    # Devices lie further apart than the longest lag, and in order: so are the hours.
    at = hour - hour.min() + number[row] * (np.ptp(hour) + max(lags) + 1)
    for lag in lags:
        there = np.searchsorted(at, at + lag)
        found = np.flatnonzero(at[np.minimum(there, at.size - 1)] == at + lag)
        m2 = _squares(visits, row[found], row[there[found]])
        yield _by_device(device[number[row[found]]], m2, lag)


def _first_pairs(visits: pd.DataFrame, lags: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Yield the square displacement of each device from its first visit to the last one begun by the lag after."""
    device = visits["device_id"].to_numpy()
    start = group_starts(device)
    first = np.repeat(start[:-1], np.diff(start))
    since = visits["started_at"].astype("int64").to_numpy()
    since = since - since[first]
    for lag in lags:
        n_begun = np.bincount(first, since <= lag * HOUR_US, len(visits))[start[:-1]].astype(np.int64)
        yield _by_device(device[start[:-1]], _squares(visits, start[:-1], start[:-1] + n_begun - 1), lag)


def _squares(visits: pd.DataFrame, of: np.ndarray, to: np.ndarray) -> np.ndarray:
    lon, lat = visits["lon"].to_numpy(), visits["lat"].to_numpy()
    return distances_m(lon[of], lat[of], lon[to], lat[to]) ** 2


def _by_device(device: np.ndarray, m2: np.ndarray, lag: int) -> pd.DataFrame:
    means = pd.Series(m2).groupby(device).agg(["mean", "size"])
    columns = {"device_id": means.index, "lag_hours": lag, "mean_m2": means["mean"], "n_pairs": means["size"]}
    return pd.DataFrame(columns).astype(_EMPTY.dtypes.to_dict())
