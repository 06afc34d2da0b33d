"""Radius of gyration: how far a device ranges about the centre of where it has been.

Each group is worked out in a frame of its own (`kernels.sphere_series`).
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.sphere_series import fill_frame, longest_group, squared_angle, to_frame

# The vectors of antipodal points cancel out up to rounding; the bound is that of geodesy.mean_position.
CANCELLED = 1e-12


def radius_of_gyration(
    group_start: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
    centre_weights: Literal["weighted", "unweighted"] = "weighted",
    centre_space: Literal["sphere", "degrees"] = "sphere",
    place: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Return the radius of gyration of every group of rows, in metres.

    r_g = sqrt(sum(w d^2) / sum(w)), d being the great-circle distance of a row to the group's centre.
    Group g owns rows ``group_start[g]:group_start[g + 1]`` of the positions (degrees) and of ``weight``
    (visits or seconds; None: every row weighs one). NaN for an empty group, for weights that sum to zero
    and where the rows have no centre (antipodal points that cancel out); a NaN position makes its group NaN.

    ``centre_weights`` "weighted" takes the centre with the same weights. "unweighted" takes it over the
    distinct places named by ``place`` (numbers within the group; required), each counting once whatever
    its rows weigh, as Centellegher's published notebook does; where the rows of a place differ in position,
    they share its weight equally. ``centre_space`` "sphere" (ours) takes the mean of unit vectors;
    "degrees" the plain mean of lon and of lat, only to reproduce scikit-mobility and that notebook.

    Raises ValueError on unknown settings, on a missing ``place``, on arrays that do not cover the same
    rows and on weights that are negative or not finite.
    """
    _check(group_start, lon, lat, weight, place, centre_weights, centre_space)
    none = np.empty(0)
    row_weight = none if weight is None else weight
    centre_weight = row_weight if place is None or centre_weights == "weighted" else _share(group_start, place)
    return _radii(group_start, lon, lat, row_weight, centre_weight, centre_space == "degrees")


def _check(
    group_start: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    place: NDArray[np.int64] | None,
    centre_weights: str,
    centre_space: str,
) -> None:
    if centre_weights not in ("weighted", "unweighted"):
        raise ValueError(f"unknown centre_weights {centre_weights!r}")
    if centre_space not in ("sphere", "degrees"):
        raise ValueError(f"unknown centre_space {centre_space!r}")
    if centre_weights == "unweighted" and place is None:
        raise ValueError("an unweighted centre is taken over distinct places: place is required")
    rows = [array.size for array in (lon, lat, weight, place) if array is not None]
    if group_start[0] != 0 or any(size != group_start[-1] for size in rows):
        raise ValueError("group_start, lon, lat, weight and place must cover the same rows")
    if weight is not None and not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("weights must be finite and not negative")


@kernel
def _share(group_start, place):
    """Return for each row one over the number of rows of its place in its group."""
    share = np.empty(place.size)
    for g in range(group_start.size - 1):
        a, b = group_start[g], group_start[g + 1]
        order = np.argsort(place[a:b], kind="mergesort")
        first = 0
        for k in range(1, b - a + 1):
            if k == b - a or place[a + order[k]] != place[a + order[first]]:
                for j in range(first, k):
                    share[a + order[j]] = 1.0 / (k - first)
                first = k
    return share


@kernel
def _radii(group_start, lon, lat, row_weight, centre_weight, is_degrees):
    n_groups = group_start.size - 1
    radius_m = np.full(n_groups, np.nan)
    longest = longest_group(group_start)
    east, north, up, ones = np.empty(longest), np.empty(longest), np.empty(longest), np.ones(longest)
    for g in range(n_groups):
        a, b = group_start[g], group_start[g + 1]
        n = b - a
        if n > 0:
            w = row_weight[a:b] if row_weight.size else ones[:n]
            cw = centre_weight[a:b] if centre_weight.size else ones[:n]
            frame = east[:n], north[:n], up[:n]
            radius_m[g] = EARTH_RADIUS_M * _radius_of_one(lon[a:b], lat[a:b], w, cw, is_degrees, frame)
    return radius_m


@kernel
def _radius_of_one(lon, lat, weight, centre_weight, is_degrees, frame):
    """Return the radius of one group in units of the Earth's radius; `frame` is scratch space."""
    fill_frame(lon, lat, frame)
    centre = _centre_of_degrees(lon, lat, centre_weight) if is_degrees else _centre_on_sphere(frame, centre_weight)
    return math.sqrt(_weighted_squares(frame, weight, centre) / weight.sum())


@kernel
def _centre_on_sphere(frame, weight):
    """Return (east, north, up) of the mean unit vector put back on the sphere; NaN where vectors cancel."""
    east, north, up = frame
    sum_east = sum_north = sum_up = total = 0.0
    for k in range(east.size):
        sum_east += weight[k] * east[k]
        sum_north += weight[k] * north[k]
        sum_up += weight[k] * up[k]
        total += weight[k]
    x, y, z = sum_east / total, sum_north / total, 1 + sum_up / total
    norm = math.sqrt(x * x + y * y + z * z)
    if not norm > CANCELLED:
        return math.nan, math.nan, math.nan
    x, y, z = x / norm, y / norm, z / norm
    # z - 1 written so that it does not cancel where the centre is close to the first row.
    return x, y, -(x * x + y * y) / (1 + z) if z > 0 else z - 1


@kernel
def _centre_of_degrees(lon, lat, weight):
    """Return the frame's (east, north, up) of the plain mean of longitudes and of latitudes."""
    sum_lon = sum_lat = total = 0.0
    for k in range(lon.size):
        sum_lon += weight[k] * (lon[k] - lon[0])
        sum_lat += weight[k] * (lat[k] - lat[0])
        total += weight[k]
    phi0 = math.radians(lat[0])
    dphi, dlam = math.radians(sum_lat / total), math.radians(sum_lon / total)
    vers_dphi, vers_dlam = 2 * math.sin(dphi / 2) ** 2, 2 * math.sin(dlam / 2) ** 2
    return to_frame(math.sin(dphi), vers_dphi, math.sin(dlam), vers_dlam, math.sin(phi0), math.cos(phi0))


@kernel
def _weighted_squares(frame, weight, centre):
    """Return the weighted sum of squared distances in radians; NaN comes through. Overwrites `frame`."""
    east, north, up = frame
    for k in range(weight.size):
        dx, dy, dz = east[k] - centre[0], north[k] - centre[1], up[k] - centre[2]
        east[k] = weight[k] * squared_angle((dx * dx + dy * dy + dz * dz) / 4)
    total = 0.0
    for k in range(weight.size):
        total += east[k]
    return total
