"""Which borders of the cell that holds it a position is close to."""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import EARTH_RADIUS_M


@kernel
def unit_vectors(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions in degrees as unit vectors: float64 of shape (n, 3); NaN comes through."""
    found = np.empty((lon.size, 3))
    for k in range(lon.size):
        phi, lam = math.radians(lat[k]), math.radians(lon[k])
        found[k, 0] = math.cos(phi) * math.cos(lam)
        found[k, 1] = math.cos(phi) * math.sin(lam)
        found[k, 2] = math.sin(phi)
    return found


@kernel
def borders_in_reach(
    at: NDArray[np.float64],
    cell: NDArray[np.int64],
    start: NDArray[np.int64],
    border: NDArray[np.float64],
    beyond: NDArray[np.int64],
    reach_m: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (position, cell beyond) for each border of a position's own cell within `reach_m` metres of it.

    ``at`` are unit vectors (n, 3), ``cell`` numbers the cell of each; cell c owns borders
    ``start[c]:start[c + 1]``, straight lines between the two unit vectors of ``border`` (m, 2, 3), those that lead to
    one cell side by side, and ``beyond`` names that cell.
    """
    reach = (reach_m / EARTH_RADIUS_M) ** 2
    row, found = np.empty(6 * cell.size, np.int64), np.empty(6 * cell.size, np.int64)
    n = 0
    for k in range(cell.size):
        last = np.int64(-1)
        for b in range(start[cell[k]], start[cell[k] + 1]):
            if beyond[b] != last and _squared_distance(at[k], border[b, 0], border[b, 1]) <= reach:
                last = beyond[b]
                row[n], found[n] = k, last
                n += 1
    return row[:n].copy(), found[:n].copy()


@kernel
def _squared_distance(p, a, b):
    """Return the squared distance of point `p` to the line from `a` to `b`, all in space."""
    along = length = 0.0
    for i in range(3):
        along += (p[i] - a[i]) * (b[i] - a[i])
        length += (b[i] - a[i]) ** 2
    share = min(1.0, max(0.0, along / length))
    total = 0.0
    for i in range(3):
        total += (p[i] - a[i] - share * (b[i] - a[i])) ** 2
    return total
