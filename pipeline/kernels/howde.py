"""HoWDe 2.0.0: homes and workplaces day by day, as its published code finds them, quirks included.

Written from the documented behaviour of the package (De Sojo Caso, Lucchini, Alessandretti; arXiv 2506.20679; method
page 2.3, tag V-code), without its code. What one would not expect, and is kept:

- Hours are closed at both ends: a stop until 10:00 has the bin of ten o'clock, home has seven bins (0 to 6), work nine.
- Shares of a day are rounded to three decimals and, like the means over a window, kept in single precision, so that a
  mean of exactly 0.7 falls short of a threshold of 0.7, while 0.6 and 0.4 reach theirs.
- Days without any stop do not exist: they are not missing. Weekends are never missing from a window of work, but they
  lie in the denominator of the share that is.
- A weekday wholly at home, or at any place that is a home on any day, is missing from the window of work.
- Without a home on any day there is no work either.

Where places tie, HoWDe takes the one whose name a hash map comes upon first (the same one every time, but no rule),
and of stops equally long the first of its unordered rows. Ours: the place with more hours, then the lower number; and
the stop given first.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.weekdays import is_weekday

DAY_S = 86_400
HOUR_S = 3_600
NONE = -1


class HowdeRules(NamedTuple):
    """HoWDe's settings under our names, with the defaults of 2.0.0; its own name stands in brackets."""

    home_window_days: int = 28
    """Days of the window of home; half of them, rounded down, on either side [range_window_home]."""
    work_window_days: int = 42
    """The same for work [range_window_work]."""
    min_hours_share: float = 0.4
    """Least share of a day's bins with a place, for the day to count [C_hours]."""
    min_home_days_share: float = 0.4
    """More than one minus this share of missing days, or just as much, and the window has no home [C_days_H]."""
    min_work_days_share: float = 0.5
    """The same for work [C_days_W]."""
    min_home_hours: float = 0.7
    """Least mean share of the bins, over the days that count, at a home [f_hours_H]."""
    min_work_hours: float = 0.4
    """The same at a workplace, asked only where no place meets `min_work_days` [f_hours_W]."""
    min_work_days: float = 0.6
    """Least share of the days that count with the workplace in them [f_days_W]."""
    home_until_hour: int = 6
    """Last bin of the night's end [start_hour_day]."""
    home_from_hour: int = 24
    """First bin of the night's beginning; 24: there is none [end_hour_day]."""
    work_from_hour: int = 9
    """First bin of work [start_hour_work]."""
    work_until_hour: int = 17
    """Last bin of work [end_hour_work]."""
    min_stop_s: int = 60
    """Stops, cut at midnight, count when longer than this [min_stop_t]."""
    is_past_only: bool = False
    """Windows are the whole number of days before each day, and the day [data_for_predict]."""


class HowdeDays(NamedTuple):
    """One row per device and day with a stop that counts, in that order; places as given, -1 for none."""

    device: NDArray[np.int64]
    """Number of the device, from 0."""
    day: NDArray[np.int64]
    """Days since 1970-01-01, local."""
    home: NDArray[np.int64]
    """Place that is home on that day."""
    home_hours: NDArray[np.float64]
    """Mean share of the home bins spent there, over the days of the window that count; NaN without a home."""
    home_n_days: NDArray[np.int64]
    """Days of the window that count and have the home in them."""
    home_n_valid: NDArray[np.int64]
    """Days of the window that count for home."""
    work: NDArray[np.int64]
    """Place that is work on that day."""
    work_hours: NDArray[np.float64]
    """Mean share of the work bins spent there, over the weekdays of the window that count; NaN without work."""
    work_n_days: NDArray[np.int64]
    """Weekdays of the window that count and have the workplace in them."""
    work_n_valid: NDArray[np.int64]
    """Weekdays of the window that count for work: those with a place that is no home."""


def howde_days(
    device_start: NDArray[np.int64],
    started_s: NDArray[np.int64],
    finished_s: NDArray[np.int64],
    place: NDArray[np.int64],
    rules: HowdeRules = HowdeRules(),  # noqa: B008  (immutable)
) -> HowdeDays:
    """Return the home and the workplace of every device on every day that has a stop.

    Device d owns stops ``device_start[d]:device_start[d + 1]``, in any order; times are seconds since 1970 by the
    local clock, places are numbered from 0 within the device, and stops at a negative place are left out. Equals the
    published package but for ties (module docstring); checked on 250 real people (`tests.oracle.test_howde`).

    Raises ValueError on arrays that do not cover the same stops, on stops that finish before they start and on
    hours outside the day.
    """
    sizes = {started_s.size, finished_s.size, place.size}
    if device_start[0] != 0 or sizes != {int(device_start[-1])}:
        raise ValueError("device_start, started_s, finished_s and place must cover the same stops")
    if (finished_s < started_s).any():
        raise ValueError("a stop finishes before it starts")
    home_bins = _bins(0, rules.home_until_hour) + _bins(rules.home_from_hour, 23)
    work_bins = _bins(rules.work_from_hour, rules.work_until_hour)
    if not home_bins or not work_bins or not set(home_bins + work_bins) <= set(range(24)):
        raise ValueError("the hours of home and of work must lie between 0 and 23, and be some")
    row_start, day, bins = _hours_of_days(device_start, started_s, finished_s, place, rules.min_stop_s)
    found = _find_all(row_start, day, bins, np.array(home_bins), np.array(work_bins), rules)
    return HowdeDays(np.repeat(np.arange(device_start.size - 1), np.diff(row_start)), day, *found)


def _bins(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


def _hours_of_days(
    device_start: NDArray[np.int64],
    started_s: NDArray[np.int64],
    finished_s: NDArray[np.int64],
    place: NDArray[np.int64],
    min_stop_s: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return where each device's days begin, every day, and the place in each of its 24 hours (-1 for none)."""
    stop, day = cut_at_midnight(started_s, finished_s)
    begin_s = np.maximum(started_s[stop] - day * DAY_S, 0)
    end_s = np.minimum(finished_s[stop] - day * DAY_S, DAY_S - 1)
    counts = (end_s - begin_s > min_stop_s) & (place[stop] >= 0)
    stop, day, begin_s, end_s = stop[counts], day[counts], begin_s[counts], end_s[counts]
    device = np.repeat(np.arange(device_start.size - 1), np.diff(device_start))[stop]
    first_day = day.min(initial=0)
    key = device * (day.max(initial=0) - first_day + 1) + day - first_day
    order = np.argsort(key, kind="stable")  # fast: nearly sorted as it is
    is_first = np.append(True, np.diff(key[order]) != 0)[: order.size]
    row = np.cumsum(is_first) - 1
    bins = _fill_hours(row, begin_s[order], end_s[order], place[stop][order], int(is_first.sum()))
    row_start = np.searchsorted(device[order][is_first], np.arange(device_start.size))
    return row_start, day[order][is_first], bins


def cut_at_midnight(
    started_s: NDArray[np.int64], finished_s: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (stop, day) of every part of a stop on a day; a day ends at 23:59:59."""
    first_day, last_day = started_s // DAY_S, finished_s // DAY_S
    n_parts = last_day - first_day + 1
    stop = np.repeat(np.arange(started_s.size), n_parts)
    return stop, np.arange(stop.size) - np.repeat(np.cumsum(n_parts) - n_parts - first_day, n_parts)


@kernel
def _fill_hours(row, begin_s, end_s, place, n_rows):
    """Return the place in every hour of every row: that of the day's longest part of a stop that touches the hour."""
    bins = np.full((n_rows, 24), NONE, np.int64)
    longest_s = np.zeros((n_rows, 24), np.int64)
    for k in range(row.size):
        for hour in range(begin_s[k] // HOUR_S, end_s[k] // HOUR_S + 1):
            if end_s[k] - begin_s[k] > longest_s[row[k], hour]:
                longest_s[row[k], hour] = end_s[k] - begin_s[k]
                bins[row[k], hour] = place[k]
    return bins


@kernel
def _find_all(row_start, day, bins, home_bins, work_bins, rules):
    n = day.size
    home, home_hours = np.empty(n, np.int64), np.empty(n)
    home_n, home_valid = np.empty(n, np.int64), np.empty(n, np.int64)
    work, work_hours = np.empty(n, np.int64), np.empty(n)
    work_n, work_valid = np.empty(n, np.int64), np.empty(n, np.int64)
    n_places = bins.max() + 1 if n else 0
    is_home = np.zeros(n_places, np.bool_)
    sums = np.zeros(n_places), np.zeros(n_places, np.int64), np.empty(n_places, np.int64)
    for d in range(row_start.size - 1):
        a, b = row_start[d], row_start[d + 1]
        found = home[a:b], home_hours[a:b], home_n[a:b], home_valid[a:b]
        _find_home(day[a:b], bins[a:b], home_bins, sums, is_home, rules, found)
        has_home = _mark(home[a:b], is_home, True)
        found = work[a:b], work_hours[a:b], work_n[a:b], work_valid[a:b]
        _find_work(day[a:b], bins[a:b], work_bins, sums, is_home, has_home, rules, found)
        _mark(home[a:b], is_home, False)
    return home, home_hours, home_n, home_valid, work, work_hours, work_n, work_valid


@kernel
def _mark(homes, is_home, value):
    """Set `is_home` of the homes, and return whether there are any."""
    has_home = False
    for h in homes:
        if h != NONE:
            is_home[h] = value
            has_home = True
    return has_home


@kernel
def _share_days(bins, hours, n_bins, is_left_out, min_hours_share):
    """Return (places, shares, number of them) of every day's hours; none where too few hours have a place.

    Places to be left out have no entry, but their hours are in the denominator. `n_bins` is zero, and is left so.
    """
    n = bins.shape[0]
    where, share = np.empty((n, hours.size), np.int64), np.empty((n, hours.size))
    n_entries = np.zeros(n, np.int64)
    for row in range(n):
        n_with_place = 0
        for hour in hours:
            p = bins[row, hour]
            if p != NONE:
                n_with_place += 1
                if n_bins[p] == 0 and not is_left_out[p]:
                    where[row, n_entries[row]] = p
                    n_entries[row] += 1
                n_bins[p] += 1
        if n_with_place == 0 or n_with_place / hours.size < min_hours_share:
            n_entries[row] = 0
        for e in range(n_entries[row]):
            share[row, e] = np.float32(np.rint(1000 * n_bins[where[row, e]] / n_with_place) / 1000)
        for hour in hours:
            if bins[row, hour] != NONE:
                n_bins[bins[row, hour]] = 0
    return where, share, n_entries


@kernel
def _find_home(days, bins, hours, sums, is_home, rules, found):
    """Fill `found` of one device; `is_home` is false everywhere."""
    top, top_hours, n_days, n_valid_days = found
    share_sum, n_with, seen = sums
    entries = _share_days(bins, hours, n_with, is_home, rules.min_hours_share)
    back, ahead = _reach(rules.home_window_days, rules.is_past_only)
    first = stop = 0
    for row in range(days.size):
        first, stop = _move_window(days, row, first, stop, back, ahead)
        n_valid, n_seen = _sum_window(first, stop, entries, sums)
        missing = (stop - first - n_valid) / (stop - first)
        best = NONE
        if n_valid > 0 and missing < 1 - rules.min_home_days_share:
            best = _top(share_sum, share_sum, n_valid, seen[:n_seen], rules.min_home_hours)
        top[row], n_valid_days[row] = best, n_valid
        top_hours[row], n_days[row] = _support(best, share_sum, n_with, n_valid)
        _clear(seen[:n_seen], share_sum, n_with)


@kernel
def _find_work(days, bins, hours, sums, is_home, has_home, rules, found):
    """Fill `found` of one device, whose homes of any day are those of `is_home`."""
    top, top_hours, n_days, n_valid_days = found
    share_sum, n_with, seen = sums
    entries = _share_days(bins, hours, n_with, is_home, rules.min_hours_share)
    is_working = is_weekday(days)
    _, _, n_entries = entries
    n_entries[~is_working] = 0
    back, ahead = _reach(rules.work_window_days, rules.is_past_only)
    first = stop = 0
    for row in range(days.size):
        first, stop = _move_window(days, row, first, stop, back, ahead)
        n_valid, n_seen = _sum_window(first, stop, entries, sums)
        missing = (is_working[first:stop].sum() - n_valid) / (stop - first)
        best = NONE
        if has_home and n_valid > 0 and missing < 1 - rules.min_work_days_share:
            best = _top(n_with, share_sum, n_valid, seen[:n_seen], rules.min_work_days)
            if best == NONE:
                best = _top(share_sum, share_sum, n_valid, seen[:n_seen], rules.min_work_hours)
        top[row], n_valid_days[row] = best, n_valid
        top_hours[row], n_days[row] = _support(best, share_sum, n_with, n_valid)
        _clear(seen[:n_seen], share_sum, n_with)


@kernel
def _reach(window_days, is_past_only):
    """Return how many days a window reaches (back, ahead)."""
    return (window_days, 0) if is_past_only else (window_days // 2, window_days // 2)


@kernel
def _move_window(days, row, first, stop, back, ahead):
    """Return the rows within reach of a row, from those of the row before."""
    while days[first] < days[row] - back:
        first += 1
    while stop < days.size and days[stop] <= days[row] + ahead:
        stop += 1
    return first, stop


@kernel
def _sum_window(first, stop, entries, sums):
    """Return (days that count, number of places seen in them) of rows `first` to `stop`, summed up by place."""
    where, share, n_entries = entries
    share_sum, n_with, seen = sums
    n_valid = n_seen = 0
    for row in range(first, stop):
        n_valid += 1 if n_entries[row] else 0
        for e in range(n_entries[row]):
            p = where[row, e]
            if n_with[p] == 0:
                seen[n_seen] = p
                n_seen += 1
            share_sum[p] += share[row, e]
            n_with[p] += 1
    return n_valid, n_seen


@kernel
def _top(score, share_sum, divisor, seen, at_least):
    """Return the seen place with the highest score / divisor that reaches the threshold; -1 for none.

    Ties are ours to break: more hours, then the lower number.
    """
    best, best_score = NONE, 0.0
    for p in seen:
        value = np.float64(np.float32(score[p] / divisor))
        if value < at_least:
            continue
        is_tied = value == best_score and best != NONE
        is_before = is_tied and (share_sum[p] > share_sum[best] or (share_sum[p] == share_sum[best] and p < best))
        if best == NONE or value > best_score or is_before:
            best, best_score = p, value
    return best


@kernel
def _support(best, share_sum, n_with, n_valid):
    if best == NONE:
        return np.nan, 0
    return share_sum[best] / n_valid, n_with[best]


@kernel
def _clear(seen, share_sum, n_with):
    for p in seen:
        share_sum[p] = 0.0
        n_with[p] = 0
