"""Which places of a device are its homes and workplaces in a window of days: ours.

A place is weighed in a window by five numbers: in how many of the days seen it was visited, how much of the nights
and of the working hours seen was spent there, how much of its own time falls in working hours, and how long it was
seen at all. A multinomial logit turns them into the probabilities that it is a home, a workplace, or neither. Several
places may be homes at once, a day at home counts like any other, and what was not seen counts neither for nor against.

A place has a role in the windows in which that role's probability is at least `held`, provided that it reaches
`reached` in one of them: to be found a place must be clear once, to stay found it need not be clear always.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.weekdays import is_weekday

DAY_S = 86_400
HOUR_S = 3_600.0
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class PlaceDays(NamedTuple):
    """Time spent per device, day and place, sorted by these three."""

    device: Integers
    day: Integers
    """Local days since 1970."""
    place: Integers
    total_s: Integers
    night_s: Integers
    working_s: Integers
    """Working hours of Monday to Friday."""


class Weighing(NamedTuple):
    """How places are weighed."""

    home: Floats
    """Intercept, then what the log odds of home against neither gain by each of the five numbers."""
    work: Floats
    """The same of work."""
    unseen: Floats
    """Days, night hours, working hours and own hours taken for unseen besides, so that little seen says little."""
    min_days: int
    """Places seen on fewer days of the window have no role in it."""


class Windows(NamedTuple):
    """Windows: number k holds for days ``first + k * step`` to ``+ step - 1`` and looks `back` and `ahead` beyond."""

    first: int
    n: int
    step: int
    back: int
    ahead: int


class RoleRows(NamedTuple):
    """Places by window whose probability of a role is high enough, sorted by device, window and place."""

    device: Integers
    window: Integers
    place: Integers
    home: Floats
    """Probability of being a home."""
    work: Floats
    days: Integers
    """Days of the window with the place."""
    night_days: Integers
    working_days: Integers
    night_share: Floats
    """Share of the night hours seen in the window that were spent there; 0 where none were."""
    working_share: Floats
    """Share of the working hours seen; 0 where none were."""
    own_night_share: Floats
    """Share of the time there in the window that falls in night hours."""
    numbers: Floats
    """The five numbers of each row, in the order of the weights: shape (n, 5)."""


def place_days(
    device: Integers, place: Integers, started_s: Integers, finished_s: Integers,
    night: tuple[int, int], working: tuple[int, int],
) -> PlaceDays:  # fmt: skip
    """Return the time that each device spent at each place per local day, in seconds.

    `started_s` and `finished_s` are local clock seconds since 1970, in any order of rows. `night` and `working` are
    clock seconds from and until; a night that begins in the evening has the larger number first, and its evening
    counts to the evening's day.
    """
    n_days = np.maximum(finished_s - 1, started_s) // DAY_S - started_s // DAY_S + 1
    row = np.repeat(np.arange(device.size), n_days)
    day = started_s[row] // DAY_S + np.arange(row.size) - np.repeat(np.cumsum(n_days) - n_days, n_days)
    begin_s = np.maximum(started_s[row] - day * DAY_S, 0)
    end_s = np.minimum(finished_s[row] - day * DAY_S, DAY_S)
    values = (end_s - begin_s, _within(begin_s, end_s, night), _within(begin_s, end_s, working) * is_weekday(day))
    order = np.lexsort((place[row], day, device[row]))
    keys = [key[order] for key in (device[row], day, place[row])]
    first = group_starts(*keys)[:-1]
    sums = [np.add.reduceat(value[order], first) if first.size else value for value in values]
    return PlaceDays(*(key[first] for key in keys), *sums)


def _within(begin_s: Integers, end_s: Integers, hours: tuple[int, int]) -> Integers:
    """Return how much of each span of one day lies within clock hours, which may reach over midnight."""
    start, stop = hours
    if start <= stop:
        return np.maximum(np.minimum(end_s, stop) - np.maximum(begin_s, start), 0)
    return _within(begin_s, end_s, (0, stop)) + _within(begin_s, end_s, (start, DAY_S))


def weigh_places(days: PlaceDays, windows: Windows, weighing: Weighing, least: float) -> RoleRows:
    """Return the places whose probability of home or work is at least `least`, for every device and window.

    The windows of a device are those from the first to the last that holds for a day on which it was seen.
    """
    starts = group_starts(days.device)
    n_places = int(days.place.max()) + 1 if days.place.size else 0
    counts = np.zeros(starts.size, np.int64)
    _fill_rows(starts, days, windows, weighing, least, n_places, counts, _blank(0), True)
    first = np.append(0, np.cumsum(counts[:-1]))
    rows = _blank(int(first[-1]))
    _fill_rows(starts, days, windows, weighing, least, n_places, first, rows, False)
    return rows


def _blank(n: int) -> RoleRows:
    device, window, place, days, night_days, working_days = (np.empty(n, np.int64) for _ in range(6))
    home, work, night_share, working_share, own_night_share = (np.empty(n) for _ in range(5))
    shares = (night_share, working_share, own_night_share, np.empty((n, 5)))
    return RoleRows(device, window, place, home, work, days, night_days, working_days, *shares)


def hold_roles(
    rows: RoleRows, reached: tuple[float, float], held: tuple[float, float], is_past_only: bool = False
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for every row whether the place is a home, and whether it is a workplace, in the window; never both.

    With `is_past_only` what a place reaches later does not count.

    Where a place could be both, the more probable role is meant, home if they are equal.
    """
    is_home = rows.home >= rows.work
    home, work = np.where(is_home, rows.home, 0.0), np.where(is_home, 0.0, rows.work)
    return (
        _hold(rows, home, reached[0], held[0], is_past_only),
        _hold(rows, work, reached[1], held[1], is_past_only),
    )


def move_night_work(
    rows: RoleRows, is_home: NDArray[np.bool_], is_work: NDArray[np.bool_], least_share: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return homes and workplaces after the nights of shift workers are taken from the homes.

    A place that would be a home, though not the one of its window with the most days, is the workplace if the device
    has none then and at least `least_share` of the time there falls in night hours: people who sleep somewhere are
    there in the evening or the morning too. Ours; the people the weights were fitted to do not work at night.
    """
    order = np.lexsort((rows.place, -np.where(is_home, rows.days, -1), rows.window, rows.device))
    starts = group_starts(rows.device[order], rows.window[order])
    length = np.diff(starts)
    has_work = np.zeros(length.size, np.bool_)
    np.logical_or.at(has_work, np.repeat(np.arange(length.size), length), is_work[order])
    is_main = np.zeros(order.size, np.bool_)
    is_main[starts[:-1]] = True
    is_moved = np.empty(order.size, np.bool_)
    is_moved[order] = is_home[order] & ~is_main & ~np.repeat(has_work, length)
    is_moved &= rows.own_night_share >= least_share
    return is_home & ~is_moved, is_work | is_moved


def _hold(rows: RoleRows, probability: Floats, reached: float, held: float, is_past_only: bool) -> NDArray[np.bool_]:
    """Return which rows have at least `held`, where a row of the same place has `reached` (or had by then)."""
    order = np.lexsort((rows.window, rows.place, rows.device))
    starts = group_starts(rows.device[order], rows.place[order])
    number = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    has_reached = probability[order] >= reached
    n_before = np.append(0, np.cumsum(has_reached))
    until = np.arange(1, order.size + 1) if is_past_only else starts[1:][number]
    was_reached = np.empty(order.size, np.bool_)
    was_reached[order] = n_before[until] > n_before[starts[:-1][number]]
    return (probability >= held) & was_reached & (probability > 0)


@kernel
def measure_place(unseen, sums, totals, numbers):
    """Fill the five numbers of a place from its sums and those of all places."""
    numbers[0] = sums[0] / (totals[0] + unseen[0])
    numbers[1] = sums[2] / (totals[2] + unseen[1] * HOUR_S)
    numbers[2] = sums[3] / (totals[3] + unseen[2] * HOUR_S)
    numbers[3] = sums[3] / (sums[1] + unseen[3] * HOUR_S)
    numbers[4] = np.log1p(sums[1] / HOUR_S)


@kernel
def role_probabilities(weighing, numbers):
    """Return the probabilities that a place of these numbers is a home, and a workplace."""
    log_home, log_work = weighing.home[0], weighing.work[0]
    for k in range(numbers.size):
        log_home += weighing.home[k + 1] * numbers[k]
        log_work += weighing.work[k + 1] * numbers[k]
    top = max(log_home, log_work, 0.0)
    home, work = np.exp(log_home - top), np.exp(log_work - top)
    total = home + work + np.exp(-top)
    return home / total, work / total


@kernel
def _add_day(days, row, sign, sums):
    """Add one place's day to its sums (or take it away): days, time, night, working time, nights, working days."""
    of = sums[days.place[row]]
    of[0] += sign
    of[1] += sign * days.total_s[row]
    of[2] += sign * days.night_s[row]
    of[3] += sign * days.working_s[row]
    of[4] += sign * (days.night_s[row] > 0)
    of[5] += sign * (days.working_s[row] > 0)


@kernel
def _add_total(days, row, start, stop, sign, totals):
    """Add one place's day to the sums of all places; a day counts with its first row."""
    if row == start or days.day[row] != days.day[row - 1]:
        totals[0] += sign
    totals[1] += sign * days.total_s[row]
    totals[2] += sign * days.night_s[row]
    totals[3] += sign * days.working_s[row]


@kernel
def _fill_rows(starts, days, windows, weighing, least, n_places, next_row, rows, is_counting):
    """Write the rows of every device from ``next_row[device]`` on, or count them into ``next_row``."""
    for device in range(starts.size - 1):
        start, stop = starts[device], starts[device + 1]
        sums, totals, numbers = np.zeros((n_places, 6), np.int64), np.zeros(4, np.int64), np.empty(5)
        last_place = 0
        for row in range(start, stop):
            last_place = max(last_place, days.place[row])
        added, dropped = start, start
        from_window = max((days.day[start] - windows.first) // windows.step, 0)
        until_window = min((days.day[stop - 1] - windows.first) // windows.step, windows.n - 1)
        for window in range(from_window, until_window + 1):
            opened = windows.first + window * windows.step
            while added < stop and days.day[added] <= opened + windows.step - 1 + windows.ahead:
                _add_day(days, added, 1, sums)
                _add_total(days, added, start, stop, 1, totals)
                added += 1
            while dropped < added and days.day[dropped] < opened - windows.back:
                _add_day(days, dropped, -1, sums)
                _add_total(days, dropped, start, stop, -1, totals)
                dropped += 1
            for place in range(last_place + 1):
                if sums[place, 0] < weighing.min_days:
                    continue
                measure_place(weighing.unseen, sums[place], totals, numbers)
                home, work = role_probabilities(weighing, numbers)
                if max(home, work) < least:
                    continue
                if not is_counting:
                    row = next_row[device]
                    rows.device[row], rows.window[row], rows.place[row] = days.device[start], window, place
                    rows.home[row], rows.work[row], rows.numbers[row] = home, work, numbers
                    _write_sums(rows, row, sums[place], totals)
                next_row[device] += 1


@kernel
def _write_sums(rows, row, sums, totals):
    rows.days[row], rows.night_days[row], rows.working_days[row] = sums[0], sums[4], sums[5]
    rows.night_share[row] = sums[2] / totals[2] if totals[2] > 0 else 0.0
    rows.working_share[row] = sums[3] / totals[3] if totals[3] > 0 else 0.0
    rows.own_night_share[row] = sums[2] / sums[1] if sums[1] > 0 else 0.0
