"""Which area holds a position: millions of positions, tens of thousands of polygons.

`index_areas` is `area_grid.build_area_index`. Borders belong to the area (shapely's ``intersects``), and
where several areas hold a position the one with the smallest number wins.

**Exact.** A position's coordinates are compared as they are; the side of an edge it lies on is taken
from an orientation in doubles whose rounding is bounded (Shewchuk 1997). Where the bound does not
decide - a position within some 1e-16 of the span of an edge from that edge's line, and not on a vertex nor
on an edge along a meridian or parallel, which comparisons decide - the answer is `UNDECIDED`, and the caller asks
an exact library. Every other answer is that of exact arithmetic.

**Plane.** Degrees are a plane here, as in shapely: an edge is straight in longitude and latitude, the
antimeridian is a border, a pole is a line. `nearest_areas` alone measures metres, and looks across the antimeridian.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import inline, kernel
from pipeline.kernels.area_grid import INSIDE, OUTSIDE, UNSURE, AreaIndex, orientation, reference_point
from pipeline.kernels.geodesy import EARTH_RADIUS_M

NOWHERE = -1
UNDECIDED = -2
SORT_FROM = 200_000
"""So many positions are looked up in the order of the grid, which spares waiting for memory (by timing)."""
METRES_PER_DEGREE = EARTH_RADIUS_M * math.pi / 180
NOTHING, CROSSES, TOUCHES, UNKNOWN = 0, 1, 2, 3


def find_areas(index: AreaIndex, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of the first area that holds each position, `NOWHERE` or `UNDECIDED`.

    Positions are degrees; one that is not finite is nowhere.
    """
    order = np.empty(0, np.int64)
    if lon.size >= SORT_FROM:
        order = _grid_order(lon, lat, _frame(index))
    return _find(lon, lat, order, *_flat(index))


def nearest_areas(
    index: AreaIndex, lon: NDArray[np.float64], lat: NDArray[np.float64], max_distance_m: float
) -> NDArray[np.int64]:
    """Return the area whose border is nearest to each position and at most `max_distance_m` away, else `NOWHERE`.

    For positions that no area holds. The distance is that in the local plane of the position: degrees
    of longitude shrunk by the cosine of its latitude, on a sphere of radius 6,371 km, edges straight in
    that plane. Within 10 km and below 70 degrees of latitude it is good to about 0.5 %. Borders just across the
    antimeridian count. Of areas equally near the smallest number wins.
    """
    return _nearest(lon, lat, float(max_distance_m), *_flat(index))


def _frame(index: AreaIndex) -> tuple[float, float, float, float, int, int]:
    return index.bounds[0], index.bounds[1], *index.cell_size, *index.shape


def _flat(index: AreaIndex) -> tuple:
    leaves = index.side, index.base, index.entry_start
    entries = index.entry_area, index.entry_state, index.entry_edge, index.edge
    return index.xy, index.bounds, _frame(index), leaves, entries


@kernel
def _cell_of(px, py, frame):
    """Return (column, row, u, v): the cell of a position and where in it the position is, from 0 to 1."""
    u, v = (px - frame[0]) / frame[2], (py - frame[1]) / frame[3]
    i, j = min(int(u), frame[4] - 1), min(int(v), frame[5] - 1)
    return i, j, u - i, v - j


@kernel
def _grid_order(lon, lat, frame):
    """Return the rows in the order of their cells (a counting sort); those outside the grid go to its rim."""
    cell = np.empty(lon.size, np.int32)
    start = np.zeros(frame[4] * frame[5] + 1, np.int64)
    for p in range(lon.size):
        u, v = (lon[p] - frame[0]) / frame[2], (lat[p] - frame[1]) / frame[3]
        i = int(u) if 0 < u < frame[4] else 0
        j = int(v) if 0 < v < frame[5] else 0
        cell[p] = j * frame[4] + i
        start[cell[p] + 1] += 1
    start = np.cumsum(start)
    order = np.empty(lon.size, np.int64)
    for p in range(lon.size):
        order[start[cell[p]]] = p
        start[cell[p]] += 1
    return order


@kernel
def _find(lon, lat, order, xy, bounds, frame, leaves, entries):
    area = np.empty(lon.size, np.int64)
    for k in range(lon.size):
        p = order[k] if order.size else k
        area[p] = _find_one(lon[p], lat[p], xy, bounds, frame, leaves, entries)
    return area


@kernel
def _find_one(px, py, xy, bounds, frame, leaves, entries):
    # Written so that a NaN is nowhere.
    if not (bounds[0] <= px <= bounds[2] and bounds[1] <= py <= bounds[3]):
        return NOWHERE
    side, base, entry_start = leaves
    entry_area, entry_state, entry_edge, edge = entries
    i, j, u, v = _cell_of(px, py, frame)
    c = j * frame[4] + i
    m = side[c]
    k = min(int(v * m), m - 1) * m + min(int(u * m), m - 1)
    point = reference_point(frame, m, i, j, k)
    for entry in range(entry_start[base[c] + k], entry_start[base[c] + k + 1]):
        own = entry_edge[entry], entry_edge[entry + 1]
        state = _state_of(px, py, point, xy, edge, own, entry_state[entry])
        if state == UNSURE:
            return UNDECIDED
        if state == INSIDE:
            return entry_area[entry]
    return NOWHERE


@kernel
def _state_of(px, py, point, xy, edge, own, state):
    """Return whether a position is inside an area, from its edges in the leaf and the state of the reference point."""
    is_odd, is_known = False, state != UNSURE
    for k in range(own[0], own[1]):
        e = edge[k]
        met = _meet(xy[e, 0], xy[e, 1], xy[e + 1, 0], xy[e + 1, 1], px, py, point[0], point[1])
        if met == TOUCHES:
            return INSIDE
        is_odd ^= met == CROSSES
        is_known &= met != UNKNOWN
    if not is_known:
        return UNSURE
    return INSIDE if (state == INSIDE) != is_odd else OUTSIDE


@inline
def _meet(ax, ay, bx, by, px, py, rx, ry):
    """Return how an edge meets the path from p along its parallel to r's meridian, and along that to r.

    "Above" is half open (a vertex level with p counts as below), so a path through a vertex crosses one of
    two edges or both or none, as one just beside it would. CROSSES says the path crosses an odd number of times.
    """
    is_odd, is_known = False, True
    if (ay > py) != (by > py):
        if max(ax, bx) >= min(px, rx) and min(ax, bx) <= max(px, rx):
            at_p = orientation(ax, ay, bx, by, px, py)
            at_corner = orientation(ax, ay, bx, by, rx, py)
            if at_p == 0:
                return TOUCHES
            is_known = at_p != 2 and abs(at_corner) == 1
            is_odd = at_p != at_corner
    elif (ay == py and ax == px) or (by == py and bx == px) or (ay == by == py and min(ax, bx) <= px <= max(ax, bx)):
        return TOUCHES
    if (ax > rx) != (bx > rx) and max(ay, by) >= min(py, ry) and min(ay, by) <= max(py, ry):
        at_corner = orientation(ax, ay, bx, by, rx, py)
        at_r = orientation(ax, ay, bx, by, rx, ry)
        is_known &= abs(at_corner) == 1 and abs(at_r) == 1
        is_odd ^= at_corner != at_r
    if not is_known:
        return UNKNOWN
    return CROSSES if is_odd else NOTHING


@kernel
def _nearest(lon, lat, max_distance_m, xy, bounds, frame, leaves, entries):
    area = np.full(lon.size, NOWHERE, np.int64)
    for p in range(lon.size):
        best_m = max_distance_m
        for turn in (-360.0, 0.0, 360.0):
            best_m, area[p] = _nearest_one(lon[p] + turn, lat[p], best_m, area[p], xy, bounds, frame, leaves, entries)
    return area


@kernel
def _nearest_one(px, py, best_m, best, xy, bounds, frame, leaves, entries):
    """Return (distance, area) of the nearest border, or `best_m` and `best` where none is nearer."""
    reach_y = best_m / METRES_PER_DEGREE
    shrink = math.cos(math.radians(py))
    reach_x = reach_y / shrink if shrink * 360.0 > reach_y else 360.0
    # Written so that a NaN is near nothing.
    is_near_x = px + reach_x >= bounds[0] and px - reach_x <= bounds[2]
    if not (is_near_x and py + reach_y >= bounds[1] and py - reach_y <= bounds[3]):
        return best_m, best
    first_i, first_j, _, _ = _cell_of(max(px - reach_x, bounds[0]), max(py - reach_y, bounds[1]), frame)
    last_i, last_j, _, _ = _cell_of(min(px + reach_x, bounds[2]), min(py + reach_y, bounds[3]), frame)
    _, base, entry_start = leaves
    entry_area, _, entry_edge, edge = entries
    for j in range(first_j, last_j + 1):
        # Leaves of the cells of one row are neighbours in memory.
        c = j * frame[4]
        for entry in range(entry_start[base[c + first_i]], entry_start[base[c + last_i + 1]]):
            for e in edge[entry_edge[entry] : entry_edge[entry + 1]]:
                apart_m = _distance_m(xy[e, 0] - px, xy[e, 1] - py, xy[e + 1, 0] - px, xy[e + 1, 1] - py, shrink)
                if apart_m < best_m or (apart_m == best_m and (best < 0 or entry_area[entry] < best)):
                    best_m, best = apart_m, entry_area[entry]
    return best_m, best


@kernel
def _distance_m(ax, ay, bx, by, shrink):
    """Return the distance in metres from the origin to a segment given in degrees from it."""
    ax, bx = ax * shrink, bx * shrink
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    along = 0.0 if length == 0.0 else min(max(-(ax * dx + ay * dy) / length, 0.0), 1.0)
    return METRES_PER_DEGREE * math.hypot(ax + along * dx, ay + along * dy)
