"""Extent: the largest distance between any two positions of a group.

The farther apart two points are on the sphere, the longer the straight line between them, so that distances are
compared as straight lines in the group's frame (`kernels.sphere_series`). A few walks from a point to the farthest one
find a pair that is the farthest or nearly so. About its middle, two points at r and r' are at most r + r' apart: a
pair that could beat it is of points on the rim, and only those are compared.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import haversine_m
from pipeline.kernels.grouping import check_groups
from pipeline.kernels.sphere_series import fill_frame, longest_group

MAX_WALKS = 8
"""Walks to the farthest point at most; two or three are usual, and more only spare comparisons."""


def largest_distances(
    group_start: NDArray[np.int64], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the largest great-circle distance in metres between any two rows of each group.

    Group g owns rows ``group_start[g]:group_start[g + 1]``, in any order; positions are degrees. 0 for one row, NaN for
    an empty group and where a position is NaN. In proportion to the rows, but for positions strewn along the rim of a
    circle: there to the square of those on it. Neither scikit-mobility nor fastmob has it: their
    maximum_distance is the largest jump. ValueError where the arrays do not cover the same rows.
    """
    check_groups(group_start, lon, lat)
    return _largest(group_start, lon, lat)


@kernel
def _largest(group_start, lon, lat):
    distance_m = np.full(group_start.size - 1, np.nan)
    longest = longest_group(group_start)
    east, north, up, scratch = np.empty(longest), np.empty(longest), np.empty(longest), np.empty(longest)
    for g in range(group_start.size - 1):
        a, b = group_start[g], group_start[g + 1]
        if b > a:
            frame = east[: b - a], north[: b - a], up[: b - a]
            fill_frame(lon[a:b], lat[a:b], frame)
            i, j = _farthest_pair(frame, scratch[: b - a])
            distance_m[g] = haversine_m(lon[a + i], lat[a + i], lon[a + j], lat[a + j])
    return distance_m


@kernel
def _farthest_pair(frame, scratch):
    """Return the two rows farthest apart; a row that is not a number twice, where there is one."""
    i, j = 0, _farthest(frame, 0, scratch)
    if scratch[j] != scratch[j]:
        return j, j
    square = scratch[j]
    for _ in range(MAX_WALKS):
        k = _farthest(frame, j, scratch)
        if not scratch[k] > square:
            break
        i, j, square = j, k, scratch[k]
    return _compare_rim(frame, i, j, math.sqrt(square), scratch)


@kernel
def _farthest(frame, i, squares):
    """Fill `squares` with squared distances from row i; return the row of the largest, or one that is not a number."""
    _fill_squares(frame, (frame[0][i], frame[1][i], frame[2][i]), squares)
    largest = 0
    for k in range(squares.size):
        # Written so that a NaN is taken, and kept.
        if not squares[k] <= squares[largest] and squares[largest] == squares[largest]:
            largest = k
    return largest


@kernel
def _fill_squares(frame, point, squares):
    east, north, up = frame
    for k in range(squares.size):
        dx, dy, dz = east[k] - point[0], north[k] - point[1], up[k] - point[2]
        squares[k] = dx * dx + dy * dy + dz * dz


@kernel
def _compare_rim(frame, i, j, best, squares):
    """Return the two rows farthest apart, given a pair that is `best` apart."""
    east, north, up = frame
    middle = (east[i] + east[j]) / 2, (north[i] + north[j]) / 2, (up[i] + up[j]) / 2
    _fill_squares(frame, middle, squares)
    reach = math.sqrt(squares.max())
    least = max(best - reach, 0.0)
    rim = np.flatnonzero(squares > least * least)
    radius = np.sqrt(squares[rim])
    order = np.argsort(-radius)
    rim, radius = rim[order], radius[order]
    for k in range(rim.size):
        for m in range(k):
            if radius[k] + radius[m] <= best:
                break
            p, q = rim[k], rim[m]
            dx, dy, dz = east[p] - east[q], north[p] - north[q], up[p] - up[q]
            length = math.sqrt(dx * dx + dy * dy + dz * dz)
            if length > best:
                i, j, best = p, q, length
    return i, j
