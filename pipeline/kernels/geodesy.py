"""Distances and means on the sphere.

Positions are degrees (``lon``, ``lat``) or integers of 1e-7 degrees (``lon_e7``, ``lat_e7``);
distances are metres on a sphere of radius 6,371,000 m, the value scikit-mobility and trackintel
use, so that differential tests compare methods and not constants.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel

EARTH_RADIUS_M = 6_371_000.0
E7_DEGREES = 1e-7
E7_RADIANS = math.radians(E7_DEGREES)


@kernel
def haversine_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Return the great-circle distance in metres between two positions in degrees."""
    phi1 = math.radians(lat1)
    phi2 = math.radians(lat2)
    sin_dphi = math.sin((phi2 - phi1) / 2)
    sin_dlam = math.sin(math.radians(lon2 - lon1) / 2)
    h = sin_dphi * sin_dphi + math.cos(phi1) * math.cos(phi2) * sin_dlam * sin_dlam
    # Rounding may lift h above 1 for antipodes; a NaN must stay one, so no min().
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(1.0 if h > 1.0 else h))


@kernel
def wrap_lon(lon: float) -> float:
    """Return a longitude difference or position in degrees brought into [-180, 180)."""
    return (lon + 180.0) % 360.0 - 180.0


@kernel
def mean_position(
    lon: NDArray[np.float64], lat: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Return (lon, lat) in degrees of the weighted mean direction of positions on the sphere.

    The mean of the unit vectors, put back on the sphere: right across the antimeridian and at
    the poles, where a mean of raw degrees is wrong. Weights need not sum to one; where the
    vectors cancel out (antipodal points) or no weight is positive the result is NaN.
    """
    x = 0.0
    y = 0.0
    z = 0.0
    for k in range(lon.size):
        phi = math.radians(lat[k])
        lam = math.radians(lon[k])
        x += weight[k] * math.cos(phi) * math.cos(lam)
        y += weight[k] * math.cos(phi) * math.sin(lam)
        z += weight[k] * math.sin(phi)
    norm = math.sqrt(x * x + y * y + z * z)
    if norm <= 1e-12 * weight.sum():
        return math.nan, math.nan
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
