"""Places of each group of rows, how many rows they have, and moves between them: nothing is sorted but what is few."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.grouping import check_groups
from pipeline.kernels.place_sequences import number_places, numbering_room
from pipeline.kernels.sphere_series import longest_group


class PlaceCounts(NamedTuple):
    """The places of all groups, in the order of groups and there of their first row."""

    start: NDArray[np.int64]
    """Where each group's places begin, and the number of places last."""
    first: NDArray[np.int64]
    """First row at each place."""
    n_rows: NDArray[np.int64]


def count_places(
    group_start: NDArray[np.int64], place: NDArray[np.int64], is_counted: NDArray[np.bool_] | None = None
) -> PlaceCounts:
    """Return the places of every group of rows, with the number of rows at each, or of rows that are counted.

    Group g owns rows ``group_start[g]:group_start[g + 1]``; `place` is any number that names a place within the group.
    In order of time a place's first row is its first visit. ValueError on arrays that disagree.
    """
    check_groups(group_start, place, *(() if is_counted is None else (is_counted,)))
    return PlaceCounts(*_count(group_start, place, np.empty(0, np.bool_) if is_counted is None else is_counted))


def distinct_places(group_start: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of places of every group of rows; rows as in `count_places`."""
    check_groups(group_start, place)
    return _distinct(group_start, place)


@kernel
def _distinct(group_start, place):
    longest = longest_group(group_start)
    names, table = numbering_room(longest)
    number, n_places = np.empty(longest, np.int32), np.empty(group_start.size - 1, np.int64)
    for g in range(n_places.size):
        n_places[g] = number_places(place[group_start[g] : group_start[g + 1]], names, table, number)
    return n_places


@kernel
def _count(group_start, place, is_counted):
    longest = longest_group(group_start)
    names, table = numbering_room(longest)
    number = np.empty(longest, np.int32)
    start = np.zeros(group_start.size, np.int64)
    # Of memory that is never written to nothing is used: places are far fewer than rows.
    first, n_rows = np.empty(place.size, np.int64), np.empty(place.size, np.int64)
    for g in range(group_start.size - 1):
        a, b, before = group_start[g], group_start[g + 1], start[g]
        start[g + 1] = before + number_places(place[a:b], names, table, number)
        _add_rows(number[: b - a], is_counted[a:b], a, first[before:], n_rows[before:])
    return start, first[: start[-1]].copy(), n_rows[: start[-1]].copy()


@kernel
def _add_rows(number, is_counted, row, first, n_rows):
    """Count the rows of a group, which begins at `row`, by the number of their place."""
    n, counts_all = 0, is_counted.size == 0
    for k in range(number.size):
        at = number[k]
        if at == n:
            first[at], n_rows[at] = row + k, 0
            n += 1
        n_rows[at] += counts_all or is_counted[k]


def most_first(places: PlaceCounts) -> NDArray[np.int64]:
    """Return the places of each group in the order of their rows, most first; of equals, the first visited."""
    return _most_first(places.start, places.n_rows)


@kernel
def _most_first(start, n_rows):
    order = np.empty(n_rows.size, np.int64)
    most = 0
    for n in n_rows:
        most = max(most, n)
    # Sorted by counting: a group's counts are no larger than its rows are many.
    next_at = np.empty(most + 2, np.int64)
    for g in range(start.size - 1):
        a, b = start[g], start[g + 1]
        most = 0
        for at in range(a, b):
            most = max(most, n_rows[at])
        next_at[: most + 2] = 0
        for at in range(a, b):
            next_at[most - n_rows[at] + 1] += 1
        for n in range(most + 1):
            next_at[n + 1] += next_at[n]
        for at in range(a, b):
            order[a + next_at[most - n_rows[at]]] = at
            next_at[most - n_rows[at]] += 1
    return order


def frequency_ranks(places: PlaceCounts) -> NDArray[np.int64]:
    """Return the rank of each place in its group by its rows, 1 for the most; of equals, the first visited is first."""
    order = most_first(places)
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(1, order.size + 1) - np.repeat(places.start[:-1], np.diff(places.start))
    return rank


def main_places(places: PlaceCounts, k: int) -> NDArray[np.bool_]:
    """Return which places are among the k of their group with most rows; of equals, the first visited."""
    return frequency_ranks(places) <= k


class PlaceRows(NamedTuple):
    """Rows by place: places are numbered over all groups, as in `PlaceCounts`."""

    at: NDArray[np.int64]
    """Place of each row."""
    before: NDArray[np.int64]
    """The row before each row at the same place; -1 for the first."""
    last: NDArray[np.int64]
    """Last row at each place."""


def rows_of_places(group_start: NDArray[np.int64], place: NDArray[np.int64], places: PlaceCounts) -> PlaceRows:
    """Return at which of `places`, those that `count_places` finds in the same rows, each row is, and when before."""
    check_groups(group_start, place)
    return PlaceRows(*_follow(group_start, place, places.start))


@kernel
def _follow(group_start, place, start):
    longest = longest_group(group_start)
    names, table = numbering_room(longest)
    number = np.empty(longest, np.int32)
    at, before, last = np.empty(place.size, np.int64), np.empty(place.size, np.int64), np.full(start[-1], -1)
    for g in range(group_start.size - 1):
        a, b = group_start[g], group_start[g + 1]
        number_places(place[a:b], names, table, number)
        for row in range(a, b):
            here = start[g] + number[row - a]
            at[row], before[row] = here, last[here]
            last[here] = row
    return at, before, last


def recency_ranks(places: PlaceCounts, rows: PlaceRows) -> NDArray[np.int64]:
    """Return the rank of each place in its group by its last row, 1 for the latest."""
    is_last = np.zeros(rows.at.size, np.int64)
    is_last[rows.last] = 1
    n_until = np.cumsum(is_last)[rows.last]
    return np.repeat(places.start[1:], np.diff(places.start)) - n_until + 1


class MoveCounts(NamedTuple):
    """Moves between places of all groups, in the order of groups and there of the first such move."""

    start: NDArray[np.int64]
    """Where each group's moves begin, and the number of moves last."""
    first: NDArray[np.int64]
    """Row at which the first such move arrives; the row before it is where it comes from."""
    n_moves: NDArray[np.int64]


def count_moves(group_start: NDArray[np.int64], place: NDArray[np.int64]) -> MoveCounts:
    """Return how often each group goes from one of its places directly to another.

    Rows as in `count_places`, in order of time; a row at the place of the row before is no move. ValueError on arrays
    that disagree.
    """
    check_groups(group_start, place)
    return MoveCounts(*_count_moves(group_start, place))


@kernel
def _count_moves(group_start, place):
    longest = longest_group(group_start)
    names, table = numbering_room(longest)
    number, key, arrival = np.empty(longest, np.int32), np.empty(longest, np.int64), np.empty(longest, np.int64)
    start = np.zeros(group_start.size, np.int64)
    first, n_moves = np.empty(place.size, np.int64), np.empty(place.size, np.int64)
    for g in range(group_start.size - 1):
        a, b, before = group_start[g], group_start[g + 1], start[g]
        n_places = number_places(place[a:b], names, table, number)
        n = 0
        for k in range(1, b - a):
            if number[k] != number[k - 1]:
                key[n], arrival[n] = np.int64(number[k - 1]) * n_places + number[k], a + k
                n += 1
        start[g + 1] = before + number_places(key[:n], names, table, number)
        _add_rows(number[:n], np.empty(0, np.bool_), 0, first[before:], n_moves[before:])
        for at in range(before, start[g + 1]):
            first[at] = arrival[first[at]]
    return start, first[: start[-1]].copy(), n_moves[: start[-1]].copy()
