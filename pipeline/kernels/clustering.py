"""Recurrent places: density clustering (DBSCAN) of one device's stays, in metres on the sphere.

The method is DBSCAN as scikit-learn defines it (a point counts itself, "within" means at most
``eps_m``), here with a stated rule for border points and cluster numbers that follow time.
"within eps" is `geodesy.haversine_m` exactly; three tricks only spare evaluating it:

* Positions are points in space (metres from the Earth's centre) and straight-line distance grows with
  great-circle distance, so the antimeridian and the poles are ordinary places. Only pairs that lie
  within a hair of ``eps_m`` need the haversine to decide.
* Space is cut into cubes whose diagonal is below eps: all points of one cube are within eps of each
  other, so a million stays at one spot cost a million steps and not a million squared. Points
  within eps of a cube lie at most two cubes away along each axis.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import haversine_m, mean_position
from pipeline.kernels.gyration import radius_of_gyration
from pipeline.kernels.sphere_cubes import (
    NOISE,
    find_slot,
    is_within,
    number_by_first,
    number_cubes,
    points_in_space,
    reach_of,
    rows_by_cube,
)

# Positions are stored to 1e-7 degrees (1.1 cm): a smaller reach would compare rounding.
MIN_EPS_M = 0.01
# A cube of diagonal eps has side eps / sqrt(3), and two sides are more than eps / 2 + eps / 2.
CUBES_AWAY = 2
MAX_NEAR = (2 * CUBES_AWAY + 1) ** 3


class Places(NamedTuple):
    """Flat arrays with one value per place, in the order of the groups they were made from."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    n_stays: NDArray[np.int64]
    weight: NDArray[np.float64]
    radius_m: NDArray[np.float64]


class PlaceMembers(NamedTuple):
    """Stays regrouped by place: rows ``order[group_start[g]:group_start[g + 1]]`` are those of place g."""

    order: NDArray[np.int64]
    group_start: NDArray[np.int64]
    device: NDArray[np.int64]
    label: NDArray[np.int64]


def cluster_places(
    device_start: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    eps_m: float,
    min_samples: int = 1,
) -> NDArray[np.int64]:
    """Return the place number of every stay: 0, 1, 2... within its device, -1 for noise.

    Rows are stays grouped by device and in time order; device d owns rows
    ``device_start[d]:device_start[d + 1]``; positions are degrees. Places are numbered by the first
    stay, in the given order, that belongs to them. ``min_samples`` counts the stay itself; with 1 there
    is no noise and places are the connected components of "at most ``eps_m`` metres apart".

    Core points and their partition equal scikit-learn's ``DBSCAN(metric="haversine")``. A border point
    (not core, but within eps of a core point) joins the place of its *nearest* core point, ties going to
    the place whose first core stay is earliest; in scikit-learn it joins whichever cluster is expanded first.

    Raises ValueError where ``eps_m`` is under a centimetre, ``min_samples`` is under 1, a position is not
    finite or ``device_start`` does not cover the rows.
    """
    if not eps_m >= MIN_EPS_M:
        raise ValueError(f"eps_m must be at least {MIN_EPS_M} m, got {eps_m}")
    if min_samples < 1:
        raise ValueError(f"min_samples must be at least 1, got {min_samples}")
    if device_start[0] != 0 or device_start[-1] != lon.size or lat.size != lon.size:
        raise ValueError("device_start, lon and lat must cover the same rows")
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise ValueError("positions must be finite")
    return _cluster_devices(device_start, lon, lat, float(eps_m), int(min_samples))


def members_by_place(device_start: NDArray[np.int64], label: NDArray[np.int64]) -> PlaceMembers:
    """Return the rows regrouped by (device, place), time order kept, noise left out.

    ``label`` is what `cluster_places` returned for the same ``device_start``. The first and last stay of
    place g are rows ``order[group_start[g]]`` and ``order[group_start[g + 1] - 1]``.
    """
    device = np.repeat(np.arange(device_start.size - 1), np.diff(device_start))
    kept = np.flatnonzero(label != NOISE)
    order = kept[np.lexsort((label[kept], device[kept]))]
    device, label = device[order], label[order]
    is_first = np.ones(order.size, dtype=np.bool_)
    is_first[1:] = (device[1:] != device[:-1]) | (label[1:] != label[:-1])
    starts = np.flatnonzero(is_first)
    return PlaceMembers(order, np.append(starts, order.size), device[starts], label[starts])


def summarise_places(
    group_start: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> Places:
    """Return centre, number of stays, total weight and radius of every place.

    Group g owns rows ``group_start[g]:group_start[g + 1]`` of the positions (degrees) and weights (for
    example seconds of dwell). The centre is `geodesy.mean_position` with these weights; ``radius_m`` is
    the root mean square distance of the members to it, with the same weights. Both are NaN for an empty
    group and where no weight is positive.
    """
    radius_m = radius_of_gyration(group_start, lon, lat, weight)
    centre_lon, centre_lat, total = _centres(group_start, lon, lat, weight)
    return Places(centre_lon, centre_lat, np.diff(group_start), total, radius_m)


@kernel
def _centres(group_start, lon, lat, weight):
    n_groups = group_start.size - 1
    centre_lon = np.full(n_groups, np.nan)
    centre_lat = np.full(n_groups, np.nan)
    total = np.zeros(n_groups)
    for g in range(n_groups):
        a, b = group_start[g], group_start[g + 1]
        total[g] = weight[a:b].sum()
        if total[g] > 0:
            centre_lon[g], centre_lat[g] = mean_position(lon[a:b], lat[a:b], weight[a:b])
    return centre_lon, centre_lat, total


@kernel
def _cluster_devices(device_start, lon, lat, eps_m, min_samples):
    label = np.empty(lon.size, np.int64)
    for d in range(device_start.size - 1):
        a, b = device_start[d], device_start[d + 1]
        if b > a:
            label[a:b] = _cluster_one(lon[a:b], lat[a:b], eps_m, min_samples)
    return label


@kernel
def _cluster_one(lon, lat, eps_m, min_samples):
    reach = reach_of(eps_m)
    points = points_in_space(lon, lat)
    cube_of, cubes, slots = number_cubes(points, reach[0] / math.sqrt(3.0))
    rows, start = rows_by_cube(cube_of, cubes.shape[0])
    points = points[rows]
    box = _boxes(points, start)
    is_core = _find_core(points, start, cubes, slots, box, reach, min_samples)
    root = _join_cubes(points, start, cubes, slots, box, reach, is_core)
    cluster = _assign(points, start, cubes, slots, box, reach, is_core, root, rows)
    return number_by_first(cluster, rows)


@kernel
def _boxes(points, start):
    """Return (low x, y, z, high x, y, z) of the points of each cube."""
    box = np.empty((start.size - 1, 6))
    for c in range(start.size - 1):
        for axis in range(3):
            low = high = points[start[c], axis]
            for p in range(start[c] + 1, start[c + 1]):
                low = min(low, points[p, axis])
                high = max(high, points[p, axis])
            box[c, axis], box[c, axis + 3] = low, high
    return box


@kernel
def _near_cubes(cubes, slots, c, near):
    """Fill `near` with the other occupied cubes that may hold points within eps of c's; return how many."""
    n_near = 0
    for dx in range(-CUBES_AWAY, CUBES_AWAY + 1):
        for dy in range(-CUBES_AWAY, CUBES_AWAY + 1):
            for dz in range(-CUBES_AWAY, CUBES_AWAY + 1):
                slot = find_slot(slots, cubes, cubes[c, 0] + dx, cubes[c, 1] + dy, cubes[c, 2] + dz)
                if slots[slot] >= 0 and slots[slot] != c:
                    near[n_near] = slots[slot]
                    n_near += 1
    return n_near


@kernel
def _gap_to_box(points, p, box, c):
    """Return a straight line in metres that no point of cube c is nearer to point p than."""
    square = 0.0
    for axis in range(3):
        gap = max(box[c, axis] - points[p, axis], points[p, axis] - box[c, axis + 3], 0.0)
        square += gap * gap
    return math.sqrt(square)


@kernel
def _find_core(points, start, cubes, slots, box, reach, min_samples):
    is_core = np.ones(points.shape[0], np.bool_)
    near = np.empty(MAX_NEAR, np.int64)
    for c in range(start.size - 1):
        n_here = start[c + 1] - start[c]
        if n_here >= min_samples:
            continue
        n_near = _near_cubes(cubes, slots, c, near)
        for p in range(start[c], start[c + 1]):
            n_within = n_here
            for k in range(n_near):
                if n_within < min_samples:
                    n_within += _count_within(points, p, start, near[k], box, reach, min_samples - n_within)
            is_core[p] = n_within >= min_samples
    return is_core


@kernel
def _count_within(points, p, start, c, box, reach, enough):
    """Return how many points of cube c are within eps of point p, counting no further than `enough`."""
    if _gap_to_box(points, p, box, c) > reach[1]:
        return 0
    n_within = 0
    for q in range(start[c], start[c + 1]):
        if n_within >= enough:
            break
        n_within += is_within(points, p, q, reach)
    return n_within


@kernel
def _join_cubes(points, start, cubes, slots, box, reach, is_core):
    """Return the representative cube of every cube's core points (they all belong to one cluster)."""
    n_cubes = start.size - 1
    parent = np.arange(n_cubes)
    near = np.empty(MAX_NEAR, np.int64)
    for c in range(n_cubes):
        n_near = _near_cubes(cubes, slots, c, near)
        for other in near[:n_near]:
            if other > c or _find(parent, c) == _find(parent, other):
                continue
            if _are_linked(points, start, c, other, box, reach, is_core):
                parent[_find(parent, c)] = _find(parent, other)
    return np.array([_find(parent, c) for c in range(n_cubes)])


@kernel
def _find(parent, c):
    while parent[c] != c:
        parent[c] = parent[parent[c]]
        c = parent[c]
    return c


@kernel
def _are_linked(points, start, c, other, box, reach, is_core):
    """Return whether some core point of one cube is within eps of some core point of the other."""
    for p in range(start[c], start[c + 1]):
        if is_core[p] and _gap_to_box(points, p, box, other) <= reach[1]:
            for q in range(start[other], start[other + 1]):
                if is_core[q] and is_within(points, p, q, reach):
                    return True
    return False


@kernel
def _assign(points, start, cubes, slots, box, reach, is_core, root, rows):
    """Return the representative cube of every point's cluster, -1 for noise (points in cube order)."""
    n_cubes = start.size - 1
    first_core = np.full(n_cubes, rows.size, np.int64)
    cluster = np.full(rows.size, NOISE, np.int64)
    for c in range(n_cubes):
        for p in start[c] + np.flatnonzero(is_core[start[c] : start[c + 1]]):
            cluster[p] = root[c]
            first_core[root[c]] = min(first_core[root[c]], rows[p])
    near = np.empty(MAX_NEAR + 1, np.int64)
    for c in range(n_cubes):
        if is_core[start[c] : start[c + 1]].all():
            continue
        n_near = _near_cubes(cubes, slots, c, near)
        near[n_near] = c
        here = near[: n_near + 1]
        for p in start[c] + np.flatnonzero(~is_core[start[c] : start[c + 1]]):
            cluster[p] = _best_cluster(points, p, start, here, box, reach, is_core, root, first_core)
    return cluster


@kernel
def _best_cluster(points, p, start, near, box, reach, is_core, root, first_core):
    best, best_m = NOISE, math.inf
    for c in near:
        if _gap_to_box(points, p, box, c) > reach[1]:
            continue
        for q in range(start[c], start[c + 1]):
            if is_core[q] and is_within(points, p, q, reach):
                apart_m = haversine_m(points[p, 3], points[p, 4], points[q, 3], points[q, 4])
                if apart_m < best_m or (apart_m == best_m and first_core[root[c]] < first_core[best]):
                    best, best_m = root[c], apart_m
    return best
