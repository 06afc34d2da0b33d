"""One pass over the pings of one device: where does each stay begin and end.

`scan_anchor` and `scan_diameter` read pings ``lo..hi-1`` of a track, add the stays that close to
`rows` and leave the candidate that is still open in `candidate`. A candidate begun on an earlier
date is continued from its running totals; nothing depends on where the dates were cut.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import inline, kernel
from pipeline.kernels.stay_geometry import (
    MEAN,
    MEDIAN,
    Bounds,
    Track,
    Yardstick,
    is_narrow,
    is_near,
    is_near_all,
    is_out_of_reach,
    is_polar,
    median_position,
    medoid_position,
    offset,
    polar_offset,
    position,
    widened,
    wrapped_e7,
    yardstick_at,
)
from pipeline.kernels.stay_hulls import DLON as CORNER_DLON
from pipeline.kernels.stay_hulls import LAT as CORNER_LAT
from pipeline.kernels.stay_hulls import (
    Hull,
    anchor_cos_sin,
    fits,
    is_inside,
    tangent_plane_m,
    with_corner,
)

# Fields of a candidate (int64). FIRST is the index of its first ping in the track, where it is
# there; with "diameter" pings from UNHULLED on are not in its hull yet.
DEVICE, LON, LAT, STARTED, LAST, N_PINGS, MAX_GAP, SUM_U, SUM_V, FIRST, UNHULLED = range(11)
N_FIELDS = 11
# Pings per box in the search for the newest ping out of reach.
BOX_BITS = 6
BOX_SIZE = 1 << BOX_BITS


class Rules(NamedTuple):
    """What makes a stay; times in µs, `centre` one of MEAN, MEDIAN, MEDOID."""

    roam_m: float
    dwell_us: int
    gap_us: int
    is_left_at_next_ping: bool
    centre: int


class Rows(NamedTuple):
    """Stays found so far: rows (device, started, finished, pings, longest silence) and rows (lon, lat)."""

    ints: NDArray[np.int64]
    floats: NDArray[np.float64]


@kernel
def add_stay(
    rows: Rows, used: int, track: Track, stop: int, candidate: NDArray[np.int64], finished: int, rules: Rules
) -> int:
    """Write the candidate, whose last ping is ``stop - 1``, as row `used`; return the rows now in use."""
    n = candidate[N_PINGS]
    if rules.centre == MEAN:
        lon, lat = position(candidate[LON], candidate[LAT], candidate[SUM_U] / n, candidate[SUM_V] / n)
    elif rules.centre == MEDIAN:
        lon, lat = median_position(track, candidate[FIRST], stop)
    else:
        lon, lat = medoid_position(track, candidate[FIRST], stop, candidate[SUM_U], candidate[SUM_V])
    ints = rows.ints[used]
    ints[0] = candidate[DEVICE]
    ints[1] = candidate[STARTED]
    ints[2] = finished
    ints[3] = n
    ints[4] = candidate[MAX_GAP]
    rows.floats[used, 0] = lon
    rows.floats[used, 1] = lat
    return used + 1


@kernel
def begin(candidate: NDArray[np.int64], track: Track, k: int) -> None:
    """Make ping k the first and only ping of the candidate."""
    candidate[LON] = track.lon_e7[k]
    candidate[LAT] = track.lat_e7[k]
    candidate[STARTED] = track.at[k]
    candidate[LAST] = track.at[k]
    candidate[N_PINGS] = 1
    candidate[MAX_GAP] = 0
    u, v = offset(candidate[LON], candidate[LAT], candidate[LON], candidate[LAT])
    candidate[SUM_U] = u
    candidate[SUM_V] = v
    candidate[FIRST] = k


@kernel
def _next_anchor_stay(
    track: Track, k: int, hi: int, candidate: NDArray[np.int64], yardstick: Yardstick, rules: Rules
) -> tuple[int, int, Yardstick]:
    """Return (the first ping after the candidate, its finished_at), moving past candidates too short.

    At the end of the pings the first is `hi` and the candidate is still open. This is the loop over
    all pings, so the candidate's fields live in locals here.
    """
    lon0, lat0, started, last = candidate[LON], candidate[LAT], candidate[STARTED], candidate[LAST]
    max_gap, sum_u, sum_v, first = candidate[MAX_GAP], candidate[SUM_U], candidate[SUM_V], candidate[FIRST]
    unseen = candidate[N_PINGS] - k
    polar = is_polar(lat0)
    finished = last
    while k < hi:
        at = track.at[k]
        lat = np.int64(track.lat_e7[k])
        lon = np.int64(track.lon_e7[k])
        silence = at - last
        is_gap = silence > rules.gap_us
        dlon = wrapped_e7(lon - lon0)
        if not is_gap and is_near(yardstick, rules.roam_m, lat0, dlon, lat):
            u, v = dlon, lat - lat0
            if polar:
                u, v = polar_offset(dlon, lat)
            sum_u += u
            sum_v += v
            max_gap = max(max_gap, silence)
            last = at
        else:
            finished = at if rules.is_left_at_next_ping and not is_gap else last
            if finished - started >= rules.dwell_us:
                break
            lon0, lat0, started, last, first = lon, lat, at, at, k
            max_gap, sum_u, sum_v = 0, 0, 0
            unseen = -k
            polar = is_polar(lat0)
            if polar:
                sum_u, sum_v = polar_offset(0, lat)
            if is_out_of_reach(yardstick, lat0):
                yardstick = yardstick_at(lat0, rules.roam_m)
        k += 1
    candidate[LON], candidate[LAT], candidate[STARTED], candidate[LAST] = lon0, lat0, started, last
    candidate[MAX_GAP], candidate[SUM_U], candidate[SUM_V] = max_gap, sum_u, sum_v
    candidate[FIRST], candidate[N_PINGS] = first, unseen + k
    return k, finished, yardstick


@kernel
def scan_anchor(
    track: Track, lo: int, hi: int, candidate: NDArray[np.int64], rules: Rules, rows: Rows, used: int
) -> int:
    """Find stays about their first ping; return the rows now in use."""
    k = lo
    if candidate[N_PINGS] == 0:
        begin(candidate, track, k)
        k += 1
    yardstick = yardstick_at(candidate[LAT], rules.roam_m)
    while True:
        k, finished, yardstick = _next_anchor_stay(track, k, hi, candidate, yardstick, rules)
        if k == hi:
            return used
        used = add_stay(rows, used, track, k, candidate, finished, rules)
        begin(candidate, track, k)
        if is_out_of_reach(yardstick, candidate[LAT]):
            yardstick = yardstick_at(candidate[LAT], rules.roam_m)
        k += 1


@inline
def _get_bounds(table: NDArray[np.int64], row: int) -> Bounds:
    """Return the bounds in one row of a table."""
    return table[row, 0], table[row, 1], table[row, 2], table[row, 3]


@inline
def _set_bounds(table: NDArray[np.int64], row: int, bounds: Bounds) -> None:
    """Write bounds to one row of a table."""
    table[row, 0], table[row, 1], table[row, 2], table[row, 3] = bounds


@inline
def _newest_far_ping(
    track: Track, s: int, k: int, boxes: NDArray[np.int64], yardstick: Yardstick, roam_m: float
) -> int:
    """Return the newest of pings s..k-1 that is not near ping k, or s - 1 if all are near."""
    lon = np.int64(track.lon_e7[k])
    lat = np.int64(track.lat_e7[k])
    stop = k
    while stop > s:
        b = (stop - 1) >> BOX_BITS
        start = max(s, b << BOX_BITS)
        if not is_near_all(_get_bounds(boxes, b), lon, lat, yardstick):
            for m in range(stop - 1, start - 1, -1):
                dlon = wrapped_e7(np.int64(track.lon_e7[m]) - lon)
                if not is_near(yardstick, roam_m, lat, dlon, np.int64(track.lat_e7[m])):
                    return m
        stop = start
    return s - 1


@inline
def _box_in(boxes: NDArray[np.int64], b: int, lon: int, lat: int, is_first: bool) -> None:
    """Widen box b to hold a position, or begin the box with it."""
    bounds = (lon, lon, lat, lat)
    if not is_first:
        bounds = widened(_get_bounds(boxes, b), lon, lat)
    _set_bounds(boxes, b, bounds)


@kernel
def _first_window(
    track: Track, lo: int, hi: int, boxes: NDArray[np.int64], yardstick: Yardstick, rules: Rules
) -> tuple[int, Yardstick]:
    """Return the first ping of the next stay, or of the window s..hi-1 that may yet become one.

    Hariharan and Toyama take the smallest i whose pings up to the first at t_i + dwell or later
    fit, trying i + 1 after each failure. Here a window s..k slides: s is the least index from
    which everything up to k fits, which is one past the newest ping too far from k. The first k
    with t_k - t_s >= dwell gives the same s: an i < s that fitted would have ended the search at
    its own last ping, at or before k; and k is the first ping to reach t_s + dwell, as an earlier
    one would have ended the search too.
    """
    s = lo
    for k in range(lo, hi):
        lat = np.int64(track.lat_e7[k])
        if is_out_of_reach(yardstick, lat):
            yardstick = yardstick_at(lat, rules.roam_m)
        if k > s and track.at[k] - track.at[k - 1] > rules.gap_us:
            s = k
        s = _newest_far_ping(track, s, k, boxes, yardstick, rules.roam_m) + 1
        _box_in(boxes, k >> BOX_BITS, np.int64(track.lon_e7[k]), lat, k == lo or k % BOX_SIZE == 0)
        if track.at[k] - track.at[s] >= rules.dwell_us:
            return s, yardstick
    return s, yardstick


@kernel
def complete_hull(track: Track, first: int, stop: int, candidate: NDArray[np.int64], hull: Hull, roam_m: float) -> Hull:
    """Return the candidate's hull with pings first..stop-1 in it."""
    lon0 = candidate[LON]
    lat0 = candidate[LAT]
    cos0, sin0 = anchor_cos_sin(lat0)
    for k in range(first, stop):
        if k > first and track.lon_e7[k] == track.lon_e7[k - 1] and track.lat_e7[k] == track.lat_e7[k - 1]:
            continue
        dlon = wrapped_e7(np.int64(track.lon_e7[k]) - lon0)
        lat = np.int64(track.lat_e7[k])
        x, y = tangent_plane_m(cos0, sin0, dlon, lat - lat0)
        if not is_inside(hull, x, y):
            hull = with_corner(hull, x, y, dlon, lat, roam_m)
    return hull


@inline
def _hull_bounds(hull: Hull, lat0_e7: int) -> Bounds:
    """Return bounds that hold the corners and the first ping: near all of them is near all pings."""
    bounds = (0, 0, 0, 0)
    for i in range(hull.size[0]):
        lat = np.int64(hull.corners[i, CORNER_LAT])
        bounds = widened(bounds, np.int64(hull.corners[i, CORNER_DLON]), lat - lat0_e7)
    return bounds


@kernel
def _extend(
    track: Track,
    k: int,
    hi: int,
    candidate: NDArray[np.int64],
    hull: Hull,
    yardstick: Yardstick,
    rules: Rules,
) -> tuple[int, bool, Hull, Yardstick]:
    """Include pings from k on while the diameter holds; return the first that does not, and why.

    Cheapest question first: are the bounds of all pings narrow enough? If not, the ping has to be
    near every corner of the hull and near all pings that are not in the hull yet; these go into it
    only when their own bounds do not settle the matter. All fields live in locals here.
    """
    lon0, lat0, last, max_gap = candidate[LON], candidate[LAT], candidate[LAST], candidate[MAX_GAP]
    sum_u, sum_v = candidate[SUM_U], candidate[SUM_V]
    polar = is_polar(lat0)
    n_before = candidate[N_PINGS] - k
    unhulled = k
    is_outside = False
    bounds = _hull_bounds(hull, lat0)
    pending = bounds
    while k < hi:
        at = track.at[k]
        if at - last > rules.gap_us:
            break
        lat = np.int64(track.lat_e7[k])
        dlon = wrapped_e7(np.int64(track.lon_e7[k]) - lon0)
        dlat = lat - lat0
        if is_out_of_reach(yardstick, lat):
            yardstick = yardstick_at(lat, rules.roam_m)
        bounds = widened(bounds, dlon, dlat)
        if not is_narrow(bounds, yardstick):
            if unhulled < k and not is_near_all(pending, dlon, dlat, yardstick):
                hull = complete_hull(track, unhulled, k, candidate, hull, rules.roam_m)
                unhulled = k
            if not fits(hull, yardstick, rules.roam_m, dlon, lat):
                is_outside = True
                break
        if unhulled == k:
            pending = (dlon, dlon, dlat, dlat)
        pending = widened(pending, dlon, dlat)
        u, v = dlon, dlat
        if polar:
            u, v = polar_offset(dlon, lat)
        sum_u += u
        sum_v += v
        max_gap = max(max_gap, at - last)
        last = at
        k += 1
    candidate[LAST], candidate[N_PINGS], candidate[MAX_GAP] = last, n_before + k, max_gap
    candidate[SUM_U], candidate[SUM_V] = sum_u, sum_v
    candidate[UNHULLED] = unhulled
    return k, is_outside, hull, yardstick


@kernel
def resume(candidate: NDArray[np.int64], hull: Hull, kept: NDArray[np.int64], roam_m: float) -> Hull:
    """Return the hull of a carried candidate from the corners it kept."""
    cos0, sin0 = anchor_cos_sin(candidate[LAT])
    for i in range(kept.shape[0]):
        dlon = wrapped_e7(kept[i, 1] - candidate[LON])
        x, y = tangent_plane_m(cos0, sin0, dlon, kept[i, 2] - candidate[LAT])
        hull = with_corner(hull, x, y, dlon, kept[i, 2], roam_m)
    return hull


@kernel
def scan_diameter(
    track: Track,
    lo: int,
    hi: int,
    candidate: NDArray[np.int64],
    hull: Hull,
    boxes: NDArray[np.int64],
    rules: Rules,
    rows: Rows,
    used: int,
) -> tuple[int, Hull]:
    """Find stays no wider than `roam_m`; return the rows now in use and the hull of the open candidate.

    A candidate handed in has qualified already and brings its hull; one left open has qualified
    if it lasted `dwell_us`, else it is the window of pings that may yet begin a stay.
    """
    k = lo
    yardstick = yardstick_at(np.int64(track.lat_e7[lo]), rules.roam_m)
    while k < hi:
        if candidate[N_PINGS] == 0:
            s, yardstick = _first_window(track, k, hi, boxes, yardstick, rules)
            # Extending from its first ping goes through the window once more, which totals it.
            begin(candidate, track, s)
            hull.size[:] = 0
            hull = with_corner(hull, 0.0, 0.0, 0, candidate[LAT], rules.roam_m)
            k = s + 1
        k, is_outside, hull, yardstick = _extend(track, k, hi, candidate, hull, yardstick, rules)
        if k < hi:
            finished = candidate[LAST]
            if is_outside and rules.is_left_at_next_ping:
                finished = track.at[k]
            used = add_stay(rows, used, track, k, candidate, finished, rules)
            candidate[N_PINGS] = 0
    return used, hull
