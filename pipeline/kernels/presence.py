"""Presence at places by local day: visits cut at midnights, and what they add up to per device and day.

Times are local: microseconds since 1970 on the clock of the place, UTC offset already added. A visit keeps the
offset it began with, so one that lasts through a change of clocks is cut an hour off at midnights after it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import haversine_m

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


class DayPieces(NamedTuple):
    """Visits cut at local midnights, in the order of the visits."""

    row: NDArray[np.int64]
    """Which visit the piece is of."""
    day: NDArray[np.int64]
    """Local days since 1970."""
    start_us: NDArray[np.int64]
    """Start, since that day's midnight."""
    finish_us: NDArray[np.int64]
    """Finish, since that day's midnight: at most a day."""


def cut_at_midnights(started_us: NDArray[np.int64], finished_us: NDArray[np.int64]) -> DayPieces:
    """Return the parts of visits that lie on one local day each; a visit that ends at midnight ends on its day.

    Arrays of shape (n,) in local µs since 1970. Every visit has a piece, an instant one of no length. ValueError
    where a visit finishes before it starts.
    """
    if (finished_us < started_us).any():
        raise ValueError("a visit finishes before it starts")
    first = started_us // DAY_US
    last = np.maximum(first, -(-finished_us // DAY_US) - 1)
    n_each = last - first + 1
    row = np.repeat(np.arange(n_each.size), n_each)
    day = np.arange(row.size) - np.repeat(np.cumsum(n_each) - n_each, n_each) + first[row]
    midnight = day * DAY_US
    start = np.maximum(started_us[row] - midnight, 0)
    return DayPieces(row, day, start, np.minimum(finished_us[row] - midnight, DAY_US))


def time_between(pieces: DayPieces, from_hour: float, to_hour: float) -> NDArray[np.int64]:
    """Return how much of each piece lies between two clock hours of its day, in µs."""
    start = np.maximum(pieces.start_us, round(from_hour * HOUR_US))
    return np.maximum(np.minimum(pieces.finish_us, round(to_hour * HOUR_US)) - start, 0)


def sum_by_cell(cell: NDArray[np.int64], values: NDArray[np.int64], n_cells: int) -> NDArray[np.int64]:
    """Return the exact sums of whole numbers by cell: int64 of shape (n_cells,); cells below zero count nowhere."""
    sums = np.zeros(n_cells, np.int64)
    inside = cell >= 0
    np.add.at(sums, cell[inside], values[inside])
    return sums


@kernel
def distances_m(
    lon1: NDArray[np.float64], lat1: NDArray[np.float64], lon2: NDArray[np.float64], lat2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the great-circle distance in metres of each pair of positions in degrees."""
    found = np.empty(lon1.size)
    for k in range(lon1.size):
        found[k] = haversine_m(lon1[k], lat1[k], lon2[k], lat2[k])
    return found


class DayRates(NamedTuple):
    """What a usual observed day holds, by device and kind of day; shape (n_devices, n_kinds)."""

    visits: NDArray[np.float64]
    hours: NDArray[np.float64]


def day_rates(
    visits: NDArray[np.int64],
    time_us: NDArray[np.int64],
    is_counted: NDArray[np.bool_],
    kind: NDArray[np.int64],
    n_kinds: int,
) -> DayRates:
    """Return mean visits and mean hours over the counted days of each kind; 0 where no day of the kind is counted.

    `visits`, `time_us` and `is_counted` (observed, and of the baseline) have shape (n_devices, n_days); `kind`, of
    shape (n_days,), numbers the kind of each day.
    """
    rates = []
    for values, unit in ((visits, 1), (time_us, HOUR_US)):
        sums = _by_kind(np.where(is_counted, values, 0), kind, n_kinds)
        n_days = _by_kind(is_counted.astype(np.int64), kind, n_kinds)
        rates.append(sums / (np.maximum(n_days, 1) * unit))
    return DayRates(*rates)


def expected(rate: NDArray[np.float64], is_observed: NDArray[np.bool_], kind: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what the observed days of each week would hold at the usual rates: shape (n_devices, n_weeks).

    `rate` has shape (n_devices, n_kinds), `is_observed` (n_devices, 7 n_weeks), `kind` (7 n_weeks,).
    """
    n_devices, n_weeks = is_observed.shape[0], is_observed.shape[1] // 7
    total = np.zeros((n_devices, n_weeks))
    for k in range(rate.shape[1]):
        total += rate[:, k, None] * weekly(is_observed & (kind == k))
    return total


def weekly(daily: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the sums of whole numbers or truths over weeks: shape (n_devices, n_weeks) from (n_devices, 7 n_weeks)."""
    return daily.reshape(daily.shape[0], daily.shape[1] // 7, 7).sum(axis=2, dtype=np.int64)


def _by_kind(values: NDArray[np.int64], kind: NDArray[np.int64], n_kinds: int) -> NDArray[np.int64]:
    return np.stack([values[:, kind == k].sum(axis=1) for k in range(n_kinds)], axis=1)
