"""Capacity: how many locations a device is familiar with, week by week, in a sliding window."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel


class Familiar(NamedTuple):
    """Counts with one value per (device, week) that has a visit."""

    device: NDArray[np.int64]
    week: NDArray[np.int64]
    n_familiar: NDArray[np.int64]
    n_added: NDArray[np.int64]
    n_dropped: NDArray[np.int64]


def count_familiar(
    device_start: NDArray[np.int64],
    location: NDArray[np.int64],
    week: NDArray[np.int64],
    dwell_us: NDArray[np.int64],
    window_weeks: int,
    min_visits: int,
    min_dwell_us: int,
    is_mean_of_seen_weeks: bool,
) -> Familiar:
    """Return how many locations are familiar, how many became so and how many ceased to be, per device and week.

    Rows are visits grouped by device, weeks (numbers of consecutive weeks) not decreasing within one;
    device d owns rows ``device_start[d]:device_start[d + 1]``. A location is familiar in week t if the weeks
    t - ``window_weeks`` + 1 to t hold at least ``min_visits`` visits to it and on average ``min_dwell_us``
    microseconds a week there. The average is over the weeks of that window that have any visit of the device
    (``is_mean_of_seen_weeks``), else over ``window_weeks``, whether or not the study covers them. Only weeks
    with a visit have a row. Added and dropped are against the device's row before, so that ``n_familiar`` is
    the running sum of ``n_added - n_dropped``. Dwell is in whole microseconds: sums are exact.

    The rule (twice, 10 minutes a week, 20 weeks) is recalled, unverified, from work on location capacity.

    Raises ValueError where arrays do not cover the same rows, weeks decrease within a device, dwell is
    negative or ``window_weeks`` is below 1.
    """
    if device_start[0] != 0 or any(a.size != device_start[-1] for a in (location, week, dwell_us)):
        raise ValueError("device_start, location, week and dwell_us must cover the same rows")
    if window_weeks < 1 or (dwell_us < 0).any():
        raise ValueError("window_weeks is at least 1 and no dwell is negative")
    device = np.repeat(np.arange(device_start.size - 1), np.diff(device_start))
    if ((device[1:] == device[:-1]) & (week[1:] < week[:-1])).any():
        raise ValueError("week decreases within a device: visits must be in the order of their weeks")
    starts = np.flatnonzero(np.append(True, (device[1:] != device[:-1]) | (week[1:] != week[:-1]))[: device.size])
    rule = window_weeks, min_visits, min_dwell_us, is_mean_of_seen_weeks
    row_start = np.append(starts, device.size)
    rows_of_device = np.searchsorted(starts, device_start)
    return Familiar(device[starts], week[starts], *_count(rows_of_device, row_start, location, week, dwell_us, rule))


@kernel
def _count(rows_of_device, row_start, location, week, dwell_us, rule):
    """Return n_familiar, n_added, n_dropped; `row_start` says where the visits of each output row begin."""
    n_rows = row_start.size - 1
    n_familiar, n_added, n_dropped = np.zeros(n_rows, np.int64), np.zeros(n_rows, np.int64), np.zeros(n_rows, np.int64)
    for d in range(rows_of_device.size - 1):
        first, last = rows_of_device[d], rows_of_device[d + 1]
        a, b = row_start[first], row_start[last]
        code, n_codes = _codes(location[a:b])
        visits = row_start[first : last + 1] - a, code, week[a:b], dwell_us[a:b]
        _count_one(visits, n_codes, rule, (n_familiar[first:last], n_added[first:last], n_dropped[first:last]))
    return n_familiar, n_added, n_dropped


@kernel
def _codes(location):
    """Return the locations renumbered from 0, and how many there are."""
    order = np.argsort(location, kind="mergesort")
    code = np.empty(location.size, np.int64)
    last = -1
    for k in range(location.size):
        if k == 0 or location[order[k]] != location[order[k - 1]]:
            last += 1
        code[order[k]] = last
    return code, last + 1


@kernel
def _count_one(visits, n_codes, rule, counts):
    """Fill the three counts of one device, moving the window from row to row."""
    row_start, code, week, dwell_us = visits
    window_weeks, min_visits, min_dwell_us, is_mean_of_seen_weeks = rule
    window = np.zeros((2, n_codes), np.int64)  # visits and microseconds of every location in the window
    is_familiar = np.zeros(n_codes, np.bool_)
    oldest = 0
    for row in range(row_start.size - 1):
        _add(window, code, dwell_us, row_start[row], row_start[row + 1], 1)
        while week[row_start[oldest]] <= week[row_start[row]] - window_weeks:
            _add(window, code, dwell_us, row_start[oldest], row_start[oldest + 1], -1)
            oldest += 1
        n_weeks = row - oldest + 1 if is_mean_of_seen_weeks else window_weeks
        _compare(window, max(min_visits, 1), min_dwell_us * n_weeks, is_familiar, row, counts)


@kernel
def _add(window, code, dwell_us, start, stop, sign):
    for k in range(start, stop):
        window[0, code[k]] += sign
        window[1, code[k]] += sign * dwell_us[k]


@kernel
def _compare(window, min_visits, min_dwell_us, is_familiar, row, counts):
    """Count what is familiar in the row and what changed, and keep it for the next."""
    n_familiar, n_added, n_dropped = counts
    for place in range(is_familiar.size):
        is_now = window[0, place] >= min_visits and window[1, place] >= min_dwell_us
        n_familiar[row] += is_now
        n_added[row] += is_now and not is_familiar[place]
        n_dropped[row] += is_familiar[place] and not is_now
        is_familiar[place] = is_now
