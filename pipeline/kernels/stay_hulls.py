"""The few pings of a long stay that decide whether the next ping still fits within its diameter.

A ping fits if it is within ``roam_m`` of every ping of the stay. A ball of that radius that holds
two points also holds everything between the two arcs of that radius through them, so only the
corners of the (slightly generous) convex hull have to be asked. The hull is kept in the gnomonic
plane about the first ping of the stay: great circles are straight there, hence spherical caps
convex, and no true extreme ping is lost to the projection.

The hull is Andrew's monotone chain. A corner m between neighbours a and b is dropped if it lies
inside their chord, or outside but so near to it that the circle through a, m and b has a radius
of at least ``2 * roam_m``: every ball of radius ``roam_m`` with a and b then has m, with a margin
far above the rounding of the coordinates. That also keeps the hull small for pings in a line.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import inline, kernel
from pipeline.kernels.geodesy import E7_RADIANS, EARTH_RADIUS_M
from pipeline.kernels.stay_geometry import E7_PER_DEGREE, Yardstick, is_near, wrapped_e7

X, Y, DLON, LAT = 0, 1, 2, 3
INITIAL_CORNERS = 64
# Radians; the first term left out of the cosine is x**8 / 40320.
SMALL_ANGLE = 0.02


class Hull(NamedTuple):
    """Corners of a stay: rows (x_m, y_m, dlon_e7, lat_e7) sorted by (x, y), and their ring.

    ``ring`` lists the rows counter-clockwise; ``size`` is (rows in use, ring entries in use);
    ``scratch`` has room for a number per row. The integers are exact as float64.
    """

    corners: NDArray[np.float64]
    ring: NDArray[np.int64]
    scratch: NDArray[np.int64]
    size: NDArray[np.int64]


@kernel
def _hull_for(capacity: int, size: NDArray[np.int64]) -> Hull:
    """Return a hull with room for `capacity` corners."""
    return Hull(
        np.empty((capacity, 4), np.float64),
        np.empty(2 * capacity + 2, np.int64),
        np.empty(capacity, np.int64),
        size,
    )


@kernel
def empty_hull() -> Hull:
    """Return a hull without corners."""
    return _hull_for(INITIAL_CORNERS, np.zeros(2, np.int64))


@kernel
def _grown(hull: Hull) -> Hull:
    """Return a hull with room for one more corner: itself, or a copy of twice the capacity."""
    n = hull.size[0]
    capacity = hull.corners.shape[0]
    if n < capacity:
        return hull
    larger = _hull_for(2 * capacity, hull.size)
    larger.corners[:n] = hull.corners[:n]
    return larger


@inline
def _set_corner(corners: NDArray[np.float64], row: int, x: float, y: float, dlon: float, lat: float) -> None:
    """Write one row (element by element: slices cost more than the numbers here)."""
    corners[row, X] = x
    corners[row, Y] = y
    corners[row, DLON] = dlon
    corners[row, LAT] = lat


@inline
def _move_corner(corners: NDArray[np.float64], source: int, target: int) -> None:
    """Copy one row over another."""
    _set_corner(corners, target, corners[source, X], corners[source, Y], corners[source, DLON], corners[source, LAT])


@kernel
def anchor_cos_sin(lat0_e7: int) -> tuple[float, float]:
    """Return the cosine and sine of a latitude, as `tangent_plane_m` wants them."""
    phi0 = math.radians(lat0_e7 / E7_PER_DEGREE)
    return math.cos(phi0), math.sin(phi0)


@kernel
def _cos_sin(x: float) -> tuple[float, float]:
    """Return cosine and sine, by their series for the small angles between pings (error below 1e-16)."""
    if abs(x) > SMALL_ANGLE:
        return math.cos(x), math.sin(x)
    x2 = x * x
    cos = 1 - x2 / 2 * (1 - x2 / 12 * (1 - x2 / 30))
    return cos, x * (1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42)))


@kernel
def tangent_plane_m(cos0: float, sin0: float, dlon_e7: int, dlat_e7: int) -> tuple[float, float]:
    """Return gnomonic coordinates (x, y) in metres, from differences so that nothing cancels."""
    cos_dphi, sin_dphi = _cos_sin(dlat_e7 * E7_RADIANS)
    cos_half, sin_half = _cos_sin(dlon_e7 * E7_RADIANS / 2)
    cos_phi = cos0 * cos_dphi - sin0 * sin_dphi
    bend = 2 * cos_phi * sin_half * sin_half
    scale = EARTH_RADIUS_M / (cos_dphi - cos0 * bend)
    return scale * 2 * cos_phi * sin_half * cos_half, scale * (sin_dphi + sin0 * bend)


@inline
def is_inside(hull: Hull, x: float, y: float) -> bool:
    """Return whether a point of the plane is in the hull's polygon (never, with under 3 corners)."""
    n = hull.size[1]
    if n < 3:
        return False
    a = hull.ring[n - 1]
    for i in range(n):
        b = hull.ring[i]
        ax = hull.corners[a, X]
        ay = hull.corners[a, Y]
        if (hull.corners[b, X] - ax) * (y - ay) - (hull.corners[b, Y] - ay) * (x - ax) < 0:
            return False
        a = b
    return True


@inline
def fits(hull: Hull, yardstick: Yardstick, roam_m: float, dlon_e7: int, lat_e7: int) -> bool:
    """Return whether a ping is within `roam_m` of every corner, hence of everything in the hull."""
    for i in range(hull.size[0]):
        apart = wrapped_e7(np.int64(hull.corners[i, DLON]) - dlon_e7)
        if not is_near(yardstick, roam_m, lat_e7, apart, np.int64(hull.corners[i, LAT])):
            return False
    return True


@inline
def _is_corner(corners: NDArray[np.float64], a: int, m: int, b: int, roam_m: float) -> bool:
    """Return whether m cannot be spared between a and b (module docstring)."""
    amx = corners[m, X] - corners[a, X]
    amy = corners[m, Y] - corners[a, Y]
    abx = corners[b, X] - corners[a, X]
    aby = corners[b, Y] - corners[a, Y]
    mbx = corners[b, X] - corners[m, X]
    mby = corners[b, Y] - corners[m, Y]
    cross = amx * aby - amy * abx
    if cross <= 0:
        return False
    is_between = amx * mbx + amy * mby > 0
    sides_squared = (amx * amx + amy * amy) * (mbx * mbx + mby * mby) * (abx * abx + aby * aby)
    return not (is_between and cross * cross * 16 * roam_m * roam_m <= sides_squared)


@inline
def _half_ring(hull: Hull, is_upper: bool, base: int, roam_m: float) -> int:
    """Append one half of the monotone chain to the ring from `base` on; return where it ends."""
    n = hull.size[0]
    ring = hull.ring
    end = base
    for i in range(n):
        p = n - 1 - i if is_upper else i
        while end - base >= 2 and not _is_corner(hull.corners, ring[end - 2], ring[end - 1], p, roam_m):
            end -= 1
        ring[end] = p
        end += 1
    return end


@inline
def _drop_spared(hull: Hull) -> None:
    """Remove the rows that are not in the ring, and renumber the ring."""
    n = hull.size[0]
    number = hull.scratch
    number[:n] = -1
    for i in range(hull.size[1]):
        number[hull.ring[i]] = 0
    kept = 0
    for row in range(n):
        if number[row] == 0:
            _move_corner(hull.corners, row, kept)
            number[row] = kept
            kept += 1
    for i in range(hull.size[1]):
        hull.ring[i] = number[hull.ring[i]]
    hull.size[0] = kept


@kernel
def with_corner(hull: Hull, x: float, y: float, dlon_e7: int, lat_e7: int, roam_m: float) -> Hull:
    """Return the hull with one more point (changed in place unless it had to grow)."""
    hull = _grown(hull)
    corners = hull.corners
    row = hull.size[0]
    while row > 0 and (corners[row - 1, X] > x or (corners[row - 1, X] == x and corners[row - 1, Y] > y)):
        _move_corner(corners, row - 1, row)
        row -= 1
    _set_corner(corners, row, x, y, dlon_e7, lat_e7)
    hull.size[0] += 1
    # Each half ends where the other begins: drop its last entry, except for a lone point.
    lower_end = max(1, _half_ring(hull, False, 0, roam_m) - 1)
    upper_end = _half_ring(hull, True, lower_end, roam_m) - 1
    hull.size[1] = max(1, upper_end)
    _drop_spared(hull)
    return hull
