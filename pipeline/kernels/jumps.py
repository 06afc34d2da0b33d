"""Jumps: pings that no journey from the one before them can explain."""

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import E7_DEGREES, E7_RADIANS, EARTH_RADIUS_M, haversine_m

SURE = 1.0 - 1e-9
"""Below this share of the limit no rounding of a distance can bring it above."""
FULL_TURN_E7 = 3_600_000_000
MIN_DISTANCE_M = 1e-4
"""A hundredth of the grid of 1e-7 degrees: what haversine leaves between two longitudes of a pole."""


@kernel
def jumps(
    device_id: NDArray[np.int64],
    at_us: NDArray[np.int64],
    lon_e7: NDArray[np.int32],
    lat_e7: NDArray[np.int32],
    max_speed_mps: float,
) -> NDArray[np.bool_]:
    """Return which pings were reached from the device's ping before them above `max_speed_mps`.

    Pings are sorted by device and time (µs). The first ping of a device is no jump; another place
    at the same time always is. The way back from an outlier is as fast as the way there, so the
    ping after one is usually a jump too. Speed is great-circle distance over time.
    """
    n = at_us.size
    is_jump = np.zeros(n, np.bool_)
    for k in range(1, n):
        if device_id[k] != device_id[k - 1]:
            continue
        limit_m = max_speed_mps * ((at_us[k] - at_us[k - 1]) / 1e6)
        dlon = abs(np.int64(lon_e7[k]) - np.int64(lon_e7[k - 1]))
        dlat = abs(np.int64(lat_e7[k]) - np.int64(lat_e7[k - 1]))
        # Going along the parallel and then the meridian is never shorter than the great circle.
        if (min(dlon, FULL_TURN_E7 - dlon) + dlat) * E7_RADIANS * EARTH_RADIUS_M <= limit_m * SURE:
            continue
        is_jump[k] = _exact_m(lon_e7[k - 1], lat_e7[k - 1], lon_e7[k], lat_e7[k]) > limit_m
    return is_jump


@kernel
def _exact_m(lon1_e7: int, lat1_e7: int, lon2_e7: int, lat2_e7: int) -> float:
    if lon1_e7 == lon2_e7 and lat1_e7 == lat2_e7:
        return 0.0
    distance_m = haversine_m(lon1_e7 * E7_DEGREES, lat1_e7 * E7_DEGREES, lon2_e7 * E7_DEGREES, lat2_e7 * E7_DEGREES)
    return distance_m if distance_m > MIN_DISTANCE_M else 0.0
