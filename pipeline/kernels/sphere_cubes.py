"""Positions as points in space, in cubes: what is near a position, in time proportional to what is there.

Distances are straight lines in metres, which grow with great-circle distance; only pairs within a hair of
the reach need the haversine to decide. So the antimeridian and the poles are ordinary places.
"""

import math

import numpy as np

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import EARTH_RADIUS_M, haversine_m

# Rounding of a haversine or of a straight line between two points of the sphere stays under 1e-8 m.
DECIDED_BY_HAVERSINE_M = 1e-6
NOISE = -1


@kernel
def reach_of(eps_m):
    """Return (surely within, surely beyond) as straight lines in metres, and eps_m itself."""
    half_turn = math.pi * EARTH_RADIUS_M
    line = 2 * EARTH_RADIUS_M * math.sin(min(eps_m, half_turn) / (2 * EARTH_RADIUS_M))
    return line - DECIDED_BY_HAVERSINE_M, line + DECIDED_BY_HAVERSINE_M, eps_m


@kernel
def points_in_space(lon, lat):
    """Return rows (x, y, z, lon, lat): metres from the Earth's centre, then degrees."""
    points = np.empty((lon.size, 5))
    for i in range(lon.size):
        phi, lam = math.radians(lat[i]), math.radians(lon[i])
        points[i, 0] = EARTH_RADIUS_M * math.cos(phi) * math.cos(lam)
        points[i, 1] = EARTH_RADIUS_M * math.cos(phi) * math.sin(lam)
        points[i, 2] = EARTH_RADIUS_M * math.sin(phi)
        points[i, 3], points[i, 4] = lon[i], lat[i]
    return points


@kernel
def number_cubes(points, side_m):
    """Return (cube number of each point, integer corner of each cube, hash slots holding cube numbers)."""
    n = points.shape[0]
    size = 2
    while size < 2 * n:
        size *= 2
    slots = np.full(size, -1, np.int64)
    cubes = np.empty((n, 3), np.int64)
    cube_of = np.empty(n, np.int64)
    n_cubes = 0
    for i in range(n):
        for axis in range(3):
            cubes[n_cubes, axis] = math.floor(points[i, axis] / side_m)
        slot = find_slot(slots, cubes, cubes[n_cubes, 0], cubes[n_cubes, 1], cubes[n_cubes, 2])
        if slots[slot] < 0:
            slots[slot] = n_cubes
            n_cubes += 1
        cube_of[i] = slots[slot]
    return cube_of, cubes[:n_cubes].copy(), slots


@kernel
def find_slot(slots, cubes, ix, iy, iz):
    """Return the hash slot that holds the cube, or the empty slot where it belongs (linear probing)."""
    mixed = np.uint64(ix) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.uint64(iy) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= np.uint64(iz) * np.uint64(0x165667B19E3779F9)
    mixed ^= mixed >> np.uint64(29)
    mask = slots.size - 1
    slot = np.int64(mixed & np.uint64(mask))
    while True:
        c = slots[slot]
        if c < 0 or (cubes[c, 0] == ix and cubes[c, 1] == iy and cubes[c, 2] == iz):
            return slot
        slot = (slot + 1) & mask


@kernel
def rows_by_cube(cube_of, n_cubes):
    """Return (row numbers regrouped by cube, start of each cube's group)."""
    start = np.zeros(n_cubes + 1, np.int64)
    for c in cube_of:
        start[c + 1] += 1
    start = np.cumsum(start)
    filled = start[:-1].copy()
    rows = np.empty(cube_of.size, np.int64)
    for i in range(cube_of.size):
        rows[filled[cube_of[i]]] = i
        filled[cube_of[i]] += 1
    return rows, start


@kernel
def is_within(points, p, q, reach):
    """Return whether point q is within reach of point p: by the straight line, else by the haversine."""
    square = 0.0
    for axis in range(3):
        square += (points[p, axis] - points[q, axis]) ** 2
    line = math.sqrt(square)
    if line <= reach[0]:
        return True
    if line > reach[1]:
        return False
    return haversine_m(points[p, 3], points[p, 4], points[q, 3], points[q, 4]) <= reach[2]


@kernel
def number_by_first(cluster, rows):
    """Return 0, 1, 2... for clusters in the order of the first row that belongs to them, in row order."""
    by_row = np.empty(rows.size, np.int64)
    for p in range(rows.size):
        by_row[rows[p]] = cluster[p]
    number = np.full(rows.size, NOISE, np.int64)
    n_clusters = 0
    for i in range(rows.size):
        if by_row[i] != NOISE:
            if number[by_row[i]] == NOISE:
                number[by_row[i]] = n_clusters
                n_clusters += 1
            by_row[i] = number[by_row[i]]
    return by_row
