"""Exploration: which visits are to places the device has never been to, and how many per window."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel


class Exploration(NamedTuple):
    """Counts with one value per (device, window) that has a visit, and `is_new` with one per visit."""

    device: NDArray[np.int64]
    window: NDArray[np.int64]
    n_visits: NDArray[np.int64]
    n_locations: NDArray[np.int64]
    n_new_locations: NDArray[np.int64]
    is_new: NDArray[np.bool_]


def explore(device_start: NDArray[np.int64], location: NDArray[np.int64], window: NDArray[np.int64]) -> Exploration:
    """Return visits, distinct locations and never-before-visited locations of every (device, window).

    Rows are visits grouped by device and in time order; device d owns rows
    ``device_start[d]:device_start[d + 1]``. ``location`` is any number that names a place within its
    device (leave visits without a place out); ``window`` is the number of the window the visit falls in
    and may not decrease within a device. Rows come out by device, then window; a window without a visit
    has no row. ``is_new`` marks the first visit of the device to the location in the rows given, hence
    ``n_new_locations`` over all windows sums to the distinct locations of the device.

    The quantities are those the method notes infer for exploration (new locations per window over
    locations in the window); the published figures' exact definition is unknown.

    Raises ValueError where windows decrease within a device or ``device_start`` does not cover the rows.
    """
    if device_start[0] != 0 or device_start[-1] != location.size or window.size != location.size:
        raise ValueError("device_start, location and window must cover the same rows")
    device = np.repeat(np.arange(device_start.size - 1), np.diff(device_start))
    is_same_device = device[1:] == device[:-1]
    if (is_same_device & (window[1:] < window[:-1])).any():
        raise ValueError("window decreases within a device: visits must be in time order")
    is_new, is_first_in_window = _mark_firsts(device_start, location, window)
    is_start = np.ones(location.size, dtype=np.bool_)
    is_start[1:] = ~is_same_device | (window[1:] != window[:-1])
    starts = np.flatnonzero(is_start)
    return Exploration(
        device[starts],
        window[starts],
        np.diff(np.append(starts, location.size)),
        _sum_runs(is_first_in_window, starts),
        _sum_runs(is_new, starts),
        is_new,
    )


def growth_exponents(group_start: NDArray[np.int64], is_first: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the exponent a of S(n) ~ n^a of each group of visits, S being the distinct locations up to the n-th.

    The least squares slope of ln S(n) by ln n over n = 1 to the group's last visit, every visit counting alike (ours):
    1 where each visit is to a new place, 0 where all are to one. Late visits lie closer on the logarithm and so decide
    more. Group g owns visits ``group_start[g]:group_start[g + 1]`` in order of time; ``is_first`` marks the first of
    the group to its location. NaN for a group of fewer than two visits.
    """
    n_each = np.diff(group_start)
    group = np.repeat(np.arange(n_each.size), n_each)
    number = np.arange(is_first.size) - group_start[group] + 1
    seen = np.concatenate(([0], np.cumsum(is_first)))
    x, y = np.log(number), np.log(seen[1:] - seen[group_start[group]])

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(group, values, n_each.size)

    with np.errstate(divide="ignore", invalid="ignore"):
        dx, dy = x - (sums(x) / n_each)[group], y - (sums(y) / n_each)[group]
        return np.where(n_each > 1, sums(dx * dy) / sums(dx * dx), np.nan)


def _sum_runs(is_marked: NDArray[np.bool_], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many rows are marked in each run that begins at `starts`."""
    before = np.concatenate(([0], np.cumsum(is_marked, dtype=np.int64)))
    return np.diff(before[np.append(starts, is_marked.size)])


@kernel
def _mark_firsts(device_start, location, window):
    """Return (first visit to the location ever, first visit to the location in the window) per visit."""
    is_new = np.zeros(location.size, np.bool_)
    is_first_in_window = np.zeros(location.size, np.bool_)
    for d in range(device_start.size - 1):
        a, b = device_start[d], device_start[d + 1]
        # A stable sort keeps time order within a location, and windows follow time: one sort serves both.
        order = np.argsort(location[a:b], kind="mergesort")
        for k in range(b - a):
            row = a + order[k]
            is_new[row] = k == 0 or location[row] != location[a + order[k - 1]]
            is_first_in_window[row] = is_new[row] or window[row] != window[a + order[k - 1]]
    return is_new, is_first_in_window
