"""Stays that were not observed: long silences that end where they began."""

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import E7_DEGREES, E7_RADIANS, EARTH_RADIUS_M, haversine_m, mean_position

SURE = 1.0 - 1e-9
"""Above this share of the limit a difference in latitude alone decides, whatever the rounding."""


@kernel
def still_silences(
    device_id: NDArray[np.int64],
    at_us: NDArray[np.int64],
    lon_e7: NDArray[np.int32],
    lat_e7: NDArray[np.int32],
    longer_than_us: int,
    at_most_us: int,
    within_m: float,
) -> NDArray[np.int64]:
    """Return the pings that begin a silence to be taken for a stay: rows k, with k + 1 the ping that ends it.

    Pings are sorted by device and time. The silence lasts more than `longer_than_us` and no more
    than `at_most_us`, and its two pings are at most `within_m` metres apart on the sphere.
    """
    found = np.empty(at_us.size, np.int64)
    n = 0
    for k in range(at_us.size - 1):
        silence = at_us[k + 1] - at_us[k]
        if silence <= longer_than_us or silence > at_most_us or device_id[k + 1] != device_id[k]:
            continue
        dlat = abs(np.int64(lat_e7[k + 1]) - np.int64(lat_e7[k]))
        if dlat * E7_RADIANS * EARTH_RADIUS_M * SURE > within_m:
            continue
        lon1, lat1 = lon_e7[k] * E7_DEGREES, lat_e7[k] * E7_DEGREES
        if haversine_m(lon1, lat1, lon_e7[k + 1] * E7_DEGREES, lat_e7[k + 1] * E7_DEGREES) <= within_m:
            found[n] = k
            n += 1
    return found[:n].copy()


@kernel
def midpoints(
    lon_e7: NDArray[np.int32], lat_e7: NDArray[np.int32], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (lon, lat) in degrees half-way between pings k and k + 1 for each k of `rows`."""
    lon, lat = np.empty(rows.size), np.empty(rows.size)
    both = np.ones(2)
    for i in range(rows.size):
        k = rows[i]
        x = lon_e7[k : k + 2] * E7_DEGREES
        y = lat_e7[k : k + 2] * E7_DEGREES
        lon[i], lat[i] = mean_position(x, y, both)
    return lon, lat
