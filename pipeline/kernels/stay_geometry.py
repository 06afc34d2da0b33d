"""Is a ping within roaming distance, and where is the centre of a stay.

Positions are integers of 1e-7 degrees. Two things here are exact on purpose. The decision "within
``roam_m``" is always that of `haversine_m`: the cheap test in front of it only answers where the
answer is certain. Centres are formed from integer offsets, whose sums do not depend on the order
or on the number of pieces in which the pings arrive.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import E7_RADIANS, EARTH_RADIUS_M, haversine_m

MEAN, MEDIAN, MEDOID = 0, 1, 2
E7_PER_DEGREE = 10_000_000
HALF_TURN_E7 = 180 * E7_PER_DEGREE
# Within one degree of a pole offsets are taken in the plane through the pole instead of in degrees.
POLAR_LAT_E7 = 89 * E7_PER_DEGREE
# Unit of those plane offsets, in earth radii: 6 micrometres.
POLAR_UNIT = 1e-12
# A yardstick serves latitudes this near to the one it was made for (22 km, ours: few are made on
# a journey, and yet at 40 degrees only pings within 1 % of roam_m need the exact distance).
YARDSTICK_REACH_E7 = 2_000_000
# Beyond this latitude, or for longitude differences above 0.1 radians, the cheap test is off.
YARDSTICK_MAX_LAT_DEG = 89.9
YARDSTICK_MAX_HALF_SINE = 0.05


class Track(NamedTuple):
    """Pings in time order: ``at`` (int64 µs), ``lon_e7`` and ``lat_e7`` (int32)."""

    at: NDArray[np.int64]
    lon_e7: NDArray[np.int32]
    lat_e7: NDArray[np.int32]


# (west, east, south, north) in 1e-7 degrees, as positions or as offsets from a stay's first ping.
Bounds = tuple[int, int, int, int]


class Yardstick(NamedTuple):
    """Constants of the cheap distance test near one latitude.

    With ``e2 = (dlon_e7 * lon_scale)**2 + dlat_e7**2``, a pair is certainly within the roaming
    distance if ``e2 <= accept_e2`` and certainly not if ``e2 > reject_e2``.
    """

    lat_e7: int
    lon_scale: float
    accept_e2: float
    reject_e2: float


@kernel
def yardstick_at(lat_e7: int, roam_m: float) -> Yardstick:
    """Return the cheap distance test for pairs of which one ping is within reach of `lat_e7`.

    From x²/4·(1 - x²/12) <= sin²(x/2) <= x²/4 and the smallest and largest cosine that a ping
    within reach, or one within `roam_m` of it, can have. What is kept for rounding (1e-9 and
    1e-6 units, or 11 nm) is more than `haversine_m` can err by.
    """
    half_sine = math.sin(roam_m / EARTH_RADIUS_M / 2)
    slack_deg = YARDSTICK_REACH_E7 / E7_PER_DEGREE + math.degrees(roam_m / EARTH_RADIUS_M)
    lat_deg = abs(lat_e7) / E7_PER_DEGREE
    cos_least = math.cos(math.radians(lat_deg + slack_deg))
    too_far_north = lat_deg + slack_deg > YARDSTICK_MAX_LAT_DEG
    if too_far_north or half_sine > YARDSTICK_MAX_HALF_SINE * cos_least:
        return Yardstick(lat_e7, 0.0, -1.0, math.inf)
    cos_here = math.cos(math.radians(lat_deg))
    cos_most = math.cos(math.radians(max(0.0, lat_deg - slack_deg)))
    roam_e2 = (2 * half_sine / E7_RADIANS) ** 2
    accept_e2 = max(0.0, math.sqrt(roam_e2) * cos_here / cos_most * (1 - 1e-9) - 1e-6) ** 2
    reject_e2 = roam_e2 * (cos_here / cos_least) ** 2 * 1.001
    return Yardstick(lat_e7, cos_here, accept_e2, reject_e2)


@kernel
def is_out_of_reach(yardstick: Yardstick, lat_e7: int) -> bool:
    """Return whether `lat_e7` needs another yardstick."""
    return abs(lat_e7 - yardstick.lat_e7) > YARDSTICK_REACH_E7


@kernel
def wrapped_e7(dlon_e7: int) -> int:
    """Return a longitude difference brought into [-180, 180) degrees, in 1e-7 degrees."""
    if dlon_e7 >= HALF_TURN_E7:
        return dlon_e7 - 2 * HALF_TURN_E7
    if dlon_e7 < -HALF_TURN_E7:
        return dlon_e7 + 2 * HALF_TURN_E7
    return dlon_e7


@kernel
def is_near(yardstick: Yardstick, roam_m: float, lat1_e7: int, dlon_e7: int, lat2_e7: int) -> bool:
    """Return whether `haversine_m` of two positions is at most `roam_m`.

    `dlon_e7` is wrapped already, and one of the two latitudes within reach of the yardstick.
    Taking the difference of the integers first makes the answer independent of where on its
    parallel the pair lies.
    """
    dlat = float(lat2_e7 - lat1_e7)
    x = dlon_e7 * yardstick.lon_scale
    e2 = x * x + dlat * dlat
    if e2 <= yardstick.accept_e2:
        return True
    if e2 > yardstick.reject_e2:
        return False
    lat1 = lat1_e7 / E7_PER_DEGREE
    lat2 = lat2_e7 / E7_PER_DEGREE
    return haversine_m(0.0, lat1, dlon_e7 / E7_PER_DEGREE, lat2) <= roam_m


@kernel
def widened(bounds: Bounds, lon: int, lat: int) -> Bounds:
    """Return bounds (west, east, south, north) that also hold a position."""
    west, east, south, north = bounds
    return min(west, lon), max(east, lon), min(south, lat), max(north, lat)


@kernel
def is_narrow(bounds: Bounds, yardstick: Yardstick) -> bool:
    """Return True only if any two positions within the bounds are certainly near (False decides nothing)."""
    west, east, south, north = bounds
    x = (east - west) * yardstick.lon_scale
    y = float(north - south)
    return x * x + y * y <= yardstick.accept_e2


@kernel
def is_near_all(bounds: Bounds, lon: int, lat: int, yardstick: Yardstick) -> bool:
    """Return True only if all within the bounds is certainly near a position (False decides nothing)."""
    west, east, south, north = bounds
    x = max(abs(west - lon), abs(east - lon)) * yardstick.lon_scale
    y = float(max(abs(south - lat), abs(north - lat)))
    return x * x + y * y <= yardstick.accept_e2


@kernel
def is_polar(anchor_lat_e7: int) -> bool:
    """Return whether the offsets from an anchor at this latitude are taken in the polar plane."""
    return abs(anchor_lat_e7) > POLAR_LAT_E7


@kernel
def polar_offset(dlon_e7: int, lat_e7: int) -> tuple[int, int]:
    """Return integer coordinates in the plane through the pole, axes turned to the anchor's meridian."""
    shadow = math.cos(math.radians(lat_e7 / E7_PER_DEGREE)) / POLAR_UNIT
    lam = dlon_e7 * E7_RADIANS
    return np.int64(np.rint(shadow * math.cos(lam))), np.int64(np.rint(shadow * math.sin(lam)))


@kernel
def offset(anchor_lon_e7: int, anchor_lat_e7: int, lon_e7: int, lat_e7: int) -> tuple[int, int]:
    """Return the integer offset (u, v) of a position from an anchor: degrees, or the polar plane."""
    dlon = wrapped_e7(np.int64(lon_e7) - anchor_lon_e7)
    if is_polar(anchor_lat_e7):
        return polar_offset(dlon, lat_e7)
    return dlon, np.int64(lat_e7) - anchor_lat_e7


@kernel
def position(anchor_lon_e7: int, anchor_lat_e7: int, u: float, v: float) -> tuple[float, float]:
    """Return (lon, lat) in degrees, lon in [-180, 180), of an offset from an anchor."""
    if is_polar(anchor_lat_e7):
        dlon = math.atan2(v, u) / E7_RADIANS
        colat = math.degrees(math.asin(min(1.0, math.hypot(u, v) * POLAR_UNIT)))
        lat = math.copysign(90.0 - colat, anchor_lat_e7)
    else:
        dlon = u
        lat = (anchor_lat_e7 + v) / E7_PER_DEGREE
    lon_e7 = anchor_lon_e7 + dlon
    if lon_e7 >= HALF_TURN_E7:
        lon_e7 -= 2 * HALF_TURN_E7
    if lon_e7 < -HALF_TURN_E7:
        lon_e7 += 2 * HALF_TURN_E7
    return lon_e7 / E7_PER_DEGREE, lat


@kernel
def median_position(track: Track, first: int, stop: int) -> tuple[float, float]:
    """Return (lon, lat) of the medians, taken apart, of the two offsets of pings first..stop-1."""
    us = np.empty(stop - first, np.int64)
    vs = np.empty(stop - first, np.int64)
    lon0 = np.int64(track.lon_e7[first])
    lat0 = np.int64(track.lat_e7[first])
    for k in range(first, stop):
        us[k - first], vs[k - first] = offset(lon0, lat0, track.lon_e7[k], track.lat_e7[k])
    us.sort()
    vs.sort()
    low = (us.size - 1) // 2
    high = us.size // 2
    return position(lon0, lat0, (us[low] + us[high]) / 2, (vs[low] + vs[high]) / 2)


@kernel
def medoid_position(track: Track, first: int, stop: int, sum_u: int, sum_v: int) -> tuple[float, float]:
    """Return (lon, lat) of the ping among first..stop-1 nearest to their mean, the earliest of equals.

    Deviations are multiplied by the number of pings so that they stay integers: two pings are
    then exactly equally far from their mean, and the tie goes to the earlier one.
    """
    n = stop - first
    lon0 = np.int64(track.lon_e7[first])
    lat0 = np.int64(track.lat_e7[first])
    scale = 1.0
    if not is_polar(lat0):
        scale = math.cos(math.radians((lat0 + sum_v / n) / E7_PER_DEGREE))
    best = first
    best_square = math.inf
    for k in range(first, stop):
        u, v = offset(lon0, lat0, track.lon_e7[k], track.lat_e7[k])
        x = float(n * u - sum_u) * scale
        y = float(n * v - sum_v)
        if x * x + y * y < best_square:
            best_square = x * x + y * y
            best = k
    return track.lon_e7[best] / E7_PER_DEGREE, track.lat_e7[best] / E7_PER_DEGREE
