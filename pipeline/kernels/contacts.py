"""Who was near whom, for how long: people met by each device at each of its places on each day.

Pairs are never listed. Each place of a device is taken by itself, day after day; what it needs is one number per
device that may be met, so memory goes with the rows and not with the pairs, however many people are in a stadium at
once. Rows are put into squares at least as wide as the reach and by time within a square: those that may be near in
place and time are then a few runs of rows.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.cell_reach import unit_vectors
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.grouping import group_starts

GUEST, BEFORE, OWN = 0, 1, 2
"""What a row is to its group: somebody to be met, a place whose meetings count as earlier ones, or one to report."""
NEVER = -(2**62)


class Presences(NamedTuple):
    """Devices at places, in pieces that lie on one local day each; rows are met within their `group` only."""

    group: NDArray[np.int64]
    role: NDArray[np.int8]
    """`GUEST`, `BEFORE` or `OWN`; each of them is somebody to be met."""
    device: NDArray[np.int64]
    place: NDArray[np.int64]
    """The device's place, numbered as it likes: has one position."""
    day: NDArray[np.int64]
    started_us: NDArray[np.int64]
    """UTC, like the finish."""
    finished_us: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    home_lon: NDArray[np.float64]
    """The device's home on the day; NaN where unknown."""
    home_lat: NDArray[np.float64]
    worth: NDArray[np.int64]
    """How much the device counts when somebody meets it."""


class Met(NamedTuple):
    """What each device × place × day with a meeting adds up to, by group, device, place and day."""

    row: NDArray[np.int64]
    """A row of it: its first."""
    n_people: NDArray[np.int64]
    worth: NDArray[np.int64]
    n_repeated: NDArray[np.int64]
    contact_us: NDArray[np.int64]
    n_household: NDArray[np.int64]
    household_us: NDArray[np.int64]


def meet_people(rows: Presences, contact_m: float, overlap_us: int, repeat_days: int, household_m: float) -> Met:
    """Return the people met at each `OWN` device × place × day.

    - Met: the time in which the other device was within `contact_m` metres of the place, summed over the day's pieces,
      is at least `overlap_us`.
    - Repeated: also met at that place on one of the `repeat_days` days before, which are `OWN` or `BEFORE`.
    - Household: at some time of the meeting the homes of both were known and at most `household_m` apart. Its people
      and time are apart from the others.

    Distances are great-circle ones, compared as straight lines in space.
    """
    order = np.lexsort((rows.started_us, rows.group))
    group, role, device, place, day, started, finished, lon, lat, home_lon, home_lat, worth = (
        column[order] for column in rows
    )
    owner = np.flatnonzero(role != GUEST)
    owner = owner[np.lexsort((started[owner], day[owner], place[owner], device[owner], group[owner]))]
    by_place = [column[owner] for column in (group, device, place)]
    run_start = group_starts(*by_place, day[owner])
    run_place = np.searchsorted(group_starts(*by_place), run_start[:-1], side="right")
    group_start = group_starts(group)
    first_run = np.searchsorted(group[owner[run_start[:-1]]], group[group_start[:-1]])
    _, first, number = np.unique(device, return_index=True, return_inverse=True)
    sums = _meet_groups(
        (group_start, np.append(first_run, run_place.size), run_start, run_place, owner),
        (started, finished, number, unit_vectors(lon, lat), unit_vectors(home_lon, home_lat)),
        (role, day, worth[first]),
        (contact_m / EARTH_RADIUS_M, _squared_line(contact_m), _squared_line(household_m)),
        (overlap_us, repeat_days),
    )
    is_met = (sums[:, 0] > 0) | (sums[:, 4] > 0)
    return Met(order[owner[run_start[:-1][is_met]]], *sums[is_met].T.copy())


def _squared_line(distance_m: float) -> float:
    """Return the square of the straight line that spans a great-circle distance, in units of the Earth's radius."""
    return (2 * math.sin(distance_m / EARTH_RADIUS_M / 2)) ** 2


@kernel
def _meet_groups(runs, rows, facts, reach, rules):
    """Return the sums of every run of owners' rows: people, worth, repeated, time; household, its time."""
    group_start, first_run, run_start, run_place, owner = runs
    n_devices = rows[2].max() + 1 if rows[2].size else 0
    sums = np.zeros((run_place.size, 6), np.int64)
    spent_us, is_household = np.zeros(n_devices, np.int64), np.zeros(n_devices, np.bool_)
    met_place, met_day = np.full(n_devices, NEVER), np.full(n_devices, NEVER)
    near = np.empty(n_devices, np.int64)
    for g in range(group_start.size - 1):
        if first_run[g] == first_run[g + 1]:
            continue
        grid, sorted_rows = _grid_of(group_start[g], group_start[g + 1], rows, reach[0])
        for r in range(first_run[g], first_run[g + 1]):
            n_near = 0
            for k in range(run_start[r], run_start[r + 1]):
                n_near = _meet_row(
                    owner[k], group_start[g], rows, grid, sorted_rows, reach, spent_us, is_household, near, n_near
                )
            here = owner[run_start[r]]
            met = (met_place, met_day, run_place[r])
            _sum_run(sums[r], facts, here, spent_us, is_household, near[:n_near], met, rules)
    return sums


@kernel
def _grid_of(first, last, rows, reach):
    """Return a group's grid, and its rows by square and time.

    The grid: square of each row across and up, number of squares that way, where each square's rows start, and the
    longest time of a row in it. Squares lie in the plane that touches the sphere at the first row, in which distances
    are at most those in space, so rows within reach lie in one square or in neighbours.
    """
    started, finished, number, at, home = rows
    n = last - first
    across, up = _plane(at[first:last])
    # Squares no more than a few times the rows, or finding empty ones would take longer than meeting people.
    limit = int(2 * math.sqrt(n)) + 1
    column, n_columns = _stripes(across, reach, limit)
    line, n_lines = _stripes(up, reach, limit)
    start = np.zeros(n_columns * n_lines + 1, np.int64)
    for k in range(n):
        start[line[k] * n_columns + column[k] + 1] += 1
    for square in range(n_columns * n_lines):
        start[square + 1] += start[square]
    longest_us = np.zeros(n_columns * n_lines, np.int64)
    filled, order = start[:-1].copy(), np.empty(n, np.int64)
    for k in range(n):
        square = line[k] * n_columns + column[k]
        order[filled[square]] = first + k
        filled[square] += 1
        longest_us[square] = max(longest_us[square], finished[first + k] - started[first + k])
    grid = (column, line, n_columns, n_lines, start, longest_us)
    return grid, (started[order], finished[order], number[order], at[order], home[order])


@kernel
def _plane(at):
    """Return unit vectors in the plane that touches the sphere at the first of them: two arrays."""
    x, y, z = at[0, 0], at[0, 1], at[0, 2]
    # East of the first; where that is nearly a pole, any direction does.
    ax, ay, az = (-y, x, 0.0) if abs(z) < 0.9 else (0.0, -z, y)
    norm = math.sqrt(ax * ax + ay * ay + az * az)
    ax, ay, az = ax / norm, ay / norm, az / norm
    bx, by, bz = y * az - z * ay, z * ax - x * az, x * ay - y * ax
    across, up = np.empty(at.shape[0]), np.empty(at.shape[0])
    for k in range(at.shape[0]):
        across[k] = at[k, 0] * ax + at[k, 1] * ay + at[k, 2] * az
        up[k] = at[k, 0] * bx + at[k, 1] * by + at[k, 2] * bz
    return across, up


@kernel
def _stripes(values, reach, limit):
    """Return the stripe of each value, and how many there are: wider than the reach, and at most limit + 1."""
    least = values.min()
    width = max(reach * (1 + 1e-6) + 1e-12, (values.max() - least) / limit)
    stripe = ((values - least) / width).astype(np.int64)
    return stripe, stripe.max() + 1


@kernel
def _meet_row(me, first, rows, grid, others, reach, spent_us, is_household, near, n_near):
    """Add the time that others spent near a row of mine; return how many were near during its run so far."""
    column, line, n_columns, n_lines, start, longest_us = grid
    started, finished = rows[0][me], rows[1][me]
    here = line[me - first], column[me - first]
    for up in range(max(0, here[0] - 1), min(n_lines, here[0] + 2)):
        for across in range(max(0, here[1] - 1), min(n_columns, here[1] + 2)):
            square = up * n_columns + across
            k, last = start[square], start[square + 1]
            if k < last:
                k = _first_after(others[0], k, last, started - longest_us[square])
            while k < last and others[0][k] < finished:
                them = others[2][k]
                time_us = min(finished, others[1][k]) - max(started, others[0][k])
                if time_us > 0 and them != rows[2][me] and _is_near(rows[3][me], others[3][k], reach[1]):
                    if spent_us[them] == 0:
                        near[n_near] = them
                        n_near += 1
                    spent_us[them] += time_us
                    is_household[them] |= _is_near(rows[4][me], others[4][k], reach[2])
                k += 1
    return n_near


@kernel
def _first_after(values, first, last, bound):
    """Return where in the sorted `values[first:last]` those above `bound` begin."""
    while first < last:
        middle = (first + last) // 2
        if values[middle] > bound:
            last = middle
        else:
            first = middle + 1
    return first


@kernel
def _is_near(a, b, squared_reach):
    """Return whether two unit vectors are in reach; False where one is NaN."""
    dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    return dx * dx + dy * dy + dz * dz <= squared_reach


@kernel
def _sum_run(sums, facts, here, spent_us, is_household, near, met, rules):
    """Sum up those who were near long enough, remember that they were met, and clear the scratch space."""
    role, day, worth = facts
    met_place, met_day, place = met
    overlap_us, repeat_days = rules
    for them in near:
        time_us, is_home = spent_us[them], is_household[them]
        spent_us[them], is_household[them] = 0, False
        if time_us < overlap_us:
            continue
        is_repeated = met_place[them] == place and met_day[them] >= day[here] - repeat_days
        met_place[them], met_day[them] = place, day[here]
        if role[here] != OWN:
            continue
        if is_home:
            sums[4] += 1
            sums[5] += time_us
        else:
            sums[0] += 1
            sums[1] += worth[them]
            sums[2] += is_repeated
            sums[3] += time_us
