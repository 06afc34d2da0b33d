"""Moves: how far and how long from each row of a device to its next, and how far each row is from a point."""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.grouping import check_groups
from pipeline.kernels.sphere_series import cosine, haversine, longest_group, squared_angle

SECOND_US = 1_000_000


def jump_lengths(
    device_start: NDArray[np.int64], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the great-circle distance in metres of each row from the row before it; NaN for a device's first.

    Device d owns rows ``device_start[d]:device_start[d + 1]``, in order of time: pings, stays or visits. Positions are
    degrees; one that is NaN makes the two distances it is in NaN. scikit-mobility's jump_lengths are these in
    kilometres, without the NaN; its maximum_distance is the largest of them, and not, as its formula says, that of any
    two rows (read in its code, 1.3.1). ValueError where the arrays do not cover the same rows.
    """
    check_groups(device_start, lon, lat)
    return _jumps(device_start, lon, lat)


def waiting_times(device_start: NDArray[np.int64], started_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the seconds from the start of the row before to that of each row; NaN for a device's first.

    Rows as in `jump_lengths`, times in microseconds. Of visits it is the dwell of the visit before and the time of the
    trip after it. scikit-mobility's waiting_times are these, cut to whole seconds and without the NaN. ValueError where
    the arrays do not cover the same rows.
    """
    check_groups(device_start, started_us)
    return _waits(device_start, started_us)


def distances_from(
    device_start: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    point_lon: NDArray[np.float64],
    point_lat: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the great-circle distance in metres of each row from the point of its device; NaN where it has none.

    Device d owns rows ``device_start[d]:device_start[d + 1]``, in any order, and the d-th point; positions are degrees
    and a point that is NaN is none. ValueError where the arrays do not cover the same rows, or devices.
    """
    check_groups(device_start, lon, lat)
    if not point_lon.size == point_lat.size == device_start.size - 1:
        raise ValueError("one point for each device")
    return _distances(device_start, lon, lat, point_lon, point_lat)


@kernel
def _jumps(device_start, lon, lat):
    length_m = np.empty(lon.size)
    cosines = np.empty(longest_group(device_start))
    for d in range(device_start.size - 1):
        a, b = device_start[d], device_start[d + 1]
        if b > a:
            _jumps_of_one(lon[a:b], lat[a:b], cosines[: b - a], length_m[a:b])
    return length_m


@kernel
def _jumps_of_one(lon, lat, cosines, length_m):
    for k in range(lon.size):
        cosines[k] = cosine(lat[k])
    length_m[0] = math.nan
    # Slices, since an index less one is tested for being negative, row by row.
    _fill_haversines((lon[:-1], lat[:-1], cosines[:-1]), (lon[1:], lat[1:], cosines[1:]), length_m[1:])
    _to_metres(length_m[1:])


@kernel
def _fill_haversines(before, after, found):
    lon1, lat1, cosine1 = before
    lon2, lat2, cosine2 = after
    for k in range(found.size):
        found[k] = haversine(lon1[k], lat1[k], cosine1[k], lon2[k], lat2[k], cosine2[k])


@kernel
def _to_metres(found):
    """Turn haversines into metres; a loop of its own, short enough for the compiler to work on rows at once."""
    for k in range(found.size):
        found[k] = EARTH_RADIUS_M * math.sqrt(squared_angle(found[k]))


@kernel
def _waits(device_start, started_us):
    wait_s = np.empty(started_us.size)
    for d in range(device_start.size - 1):
        a, b = device_start[d], device_start[d + 1]
        if b > a:
            wait_s[a] = math.nan
            _fill_waits(started_us[a : b - 1], started_us[a + 1 : b], wait_s[a + 1 : b])
    return wait_s


@kernel
def _fill_waits(before_us, after_us, wait_s):
    for k in range(wait_s.size):
        wait_s[k] = (after_us[k] - before_us[k]) / SECOND_US


@kernel
def _distances(device_start, lon, lat, point_lon, point_lat):
    distance_m = np.empty(lon.size)
    for d in range(device_start.size - 1):
        a, b = device_start[d], device_start[d + 1]
        _fill_distances(lon[a:b], lat[a:b], point_lon[d], point_lat[d], distance_m[a:b])
    return distance_m


@kernel
def _fill_distances(lon, lat, point_lon, point_lat, distance_m):
    cosine_of_point = cosine(point_lat)
    for k in range(lon.size):
        distance_m[k] = haversine(point_lon, point_lat, cosine_of_point, lon[k], lat[k], cosine(lat[k]))
    _to_metres(distance_m)
