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
    Track,
    Yardstick,
    is_near,
    is_out_of_reach,
    is_polar,
    median_position,
    medoid_position,
    offset,
    polar_offset,
    position,
    wrapped_e7,
    yardstick_at,
)
from pipeline.kernels.stay_hulls import (
    Hull,
    fits,
    hull_with,
)

# Fields of a candidate (int64). FIRST is the index of its first ping in the track, where it is there.
# The others serve "diameter": pings from UNHULLED on are not in the hull yet; WEST to NORTH bound
# all pings and, four further on, those not in the hull, as offsets (dlon, dlat) from the first ping.
DEVICE, LON, LAT, STARTED, LAST, N_PINGS, MAX_GAP, SUM_U, SUM_V = range(9)
FIRST, UNHULLED, WEST, EAST, SOUTH, NORTH = range(9, 15)
ALL, PENDING = 0, 4
N_FIELDS = 19
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


@inline
def include(candidate: NDArray[np.int64], at: int, dlon: int, lat: int) -> None:
    """Add a ping, at longitude `dlon` from the first, to the candidate's running totals."""
    candidate[MAX_GAP] = max(candidate[MAX_GAP], at - candidate[LAST])
    candidate[LAST] = at
    candidate[N_PINGS] += 1
    u, v = dlon, lat - candidate[LAT]
    if is_polar(candidate[LAT]):
        u, v = polar_offset(dlon, lat)
    candidate[SUM_U] += u
    candidate[SUM_V] += v


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
def _is_box_near(
    boxes: NDArray[np.int64], b: int, lon: int, lat: int, lon_scale: float, accept_e2: float
) -> bool:
    """Return True only if all of box b (west, east, south, north) is certainly near a position."""
    x = max(abs(boxes[b, 0] - lon), abs(boxes[b, 1] - lon)) * lon_scale
    y = float(max(abs(boxes[b, 2] - lat), abs(boxes[b, 3] - lat)))
    return x * x + y * y <= accept_e2


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
        if not _is_box_near(boxes, b, lon, lat, yardstick.lon_scale, yardstick.accept_e2):
            for m in range(stop - 1, start - 1, -1):
                dlon = wrapped_e7(np.int64(track.lon_e7[m]) - lon)
                if not is_near(yardstick, roam_m, lat, dlon, np.int64(track.lat_e7[m])):
                    return m
        stop = start
    return s - 1


@inline
def _box_in(boxes: NDArray[np.int64], b: int, lon: int, lat: int, is_first: bool) -> None:
    """Widen box b to hold a position, or begin the box with it."""
    if is_first:
        boxes[b, 0] = lon
        boxes[b, 1] = lon
        boxes[b, 2] = lat
        boxes[b, 3] = lat
    boxes[b, 0] = min(boxes[b, 0], lon)
    boxes[b, 1] = max(boxes[b, 1], lon)
    boxes[b, 2] = min(boxes[b, 2], lat)
    boxes[b, 3] = max(boxes[b, 3], lat)


@kernel
def _first_window(
    track: Track, lo: int, hi: int, boxes: NDArray[np.int64], yardstick: Yardstick, rules: Rules
) -> tuple[int, int, Yardstick]:
    """Return (s, k): the first pings s..k that dwell long enough, or k == hi and the open window s..hi-1.

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
            return s, k, yardstick
    return s, hi, yardstick


@kernel
def complete_hull(hull: Hull, candidate: NDArray[np.int64], track: Track, stop: int, roam_m: float) -> Hull:
    """Return the candidate's hull with every ping before `stop` in it."""
    for k in range(candidate[UNHULLED], stop):
        dlon = wrapped_e7(np.int64(track.lon_e7[k]) - candidate[LON])
        hull = hull_with(hull, candidate[LAT], dlon, np.int64(track.lat_e7[k]), roam_m)
    candidate[UNHULLED] = stop
    return hull


@inline
def widen(candidate: NDArray[np.int64], which: int, dlon: int, dlat: int) -> None:
    """Make the bounds of ALL or PENDING pings hold a position."""
    candidate[which + WEST] = min(candidate[which + WEST], dlon)
    candidate[which + EAST] = max(candidate[which + EAST], dlon)
    candidate[which + SOUTH] = min(candidate[which + SOUTH], dlat)
    candidate[which + NORTH] = max(candidate[which + NORTH], dlat)


@inline
def _bound_at(candidate: NDArray[np.int64], which: int, dlon: int, dlat: int) -> None:
    """Make one position the bounds of ALL or PENDING pings."""
    candidate[which + WEST] = candidate[which + EAST] = dlon
    candidate[which + SOUTH] = candidate[which + NORTH] = dlat


@inline
def _is_narrow(candidate: NDArray[np.int64], yardstick: Yardstick) -> bool:
    """Return True only if any two positions within the bounds are certainly near (False decides nothing)."""
    x = (candidate[EAST] - candidate[WEST]) * yardstick.lon_scale
    y = float(candidate[NORTH] - candidate[SOUTH])
    return x * x + y * y <= yardstick.accept_e2


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
    near every corner of the hull and near all pings not in it yet; these are put into the hull when
    their bounds are not enough to tell.
    """
    lon0, lat0 = candidate[LON], candidate[LAT]
    pending = candidate[PENDING + WEST : PENDING + NORTH + 1]
    while k < hi:
        at = track.at[k]
        if at - candidate[LAST] > rules.gap_us:
            return k, False, hull, yardstick
        lat = np.int64(track.lat_e7[k])
        dlon = wrapped_e7(np.int64(track.lon_e7[k]) - lon0)
        if is_out_of_reach(yardstick, lat):
            yardstick = yardstick_at(lat, rules.roam_m)
        widen(candidate, ALL, dlon, lat - lat0)
        if not _is_narrow(candidate, yardstick):
            if candidate[UNHULLED] < k and not _is_box_near(pending, dlon, lat - lat0, yardstick):
                hull = complete_hull(hull, candidate, track, k, rules.roam_m)
            if not fits(hull, yardstick, rules.roam_m, dlon, lat):
                return k, True, hull, yardstick
        if candidate[UNHULLED] == k:
            _bound_at(candidate, PENDING, dlon, lat - lat0)
        widen(candidate, PENDING, dlon, lat - lat0)
        include(candidate, at, dlon, lat)
        k += 1
    return k, False, hull, yardstick


@kernel
def _qualify(track: Track, s: int, stop: int, candidate: NDArray[np.int64], hull: Hull) -> None:
    """Make pings s..stop-1 the candidate, none of them in its hull yet."""
    begin(candidate, track, s)
    hull.size[:] = 0
    candidate[UNHULLED] = s
    _bound_at(candidate, ALL, 0, 0)
    _bound_at(candidate, PENDING, 0, 0)
    for k in range(s + 1, stop):
        lat = np.int64(track.lat_e7[k])
        dlon = wrapped_e7(np.int64(track.lon_e7[k]) - candidate[LON])
        include(candidate, track.at[k], dlon, lat)
        widen(candidate, ALL, dlon, lat - candidate[LAT])
        widen(candidate, PENDING, dlon, lat - candidate[LAT])


@kernel
def resume(candidate: NDArray[np.int64], hull: Hull, kept: NDArray[np.int64], lo: int, roam_m: float) -> Hull:
    """Return the hull of a carried candidate from the corners it kept; its next ping will be `lo`."""
    candidate[UNHULLED] = lo
    _bound_at(candidate, ALL, 0, 0)
    for i in range(kept.shape[0]):
        dlon = wrapped_e7(kept[i, 1] - candidate[LON])
        widen(candidate, ALL, dlon, kept[i, 2] - candidate[LAT])
        hull = hull_with(hull, candidate[LAT], dlon, kept[i, 2], roam_m)
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
            s, k, yardstick = _first_window(track, k, hi, boxes, yardstick, rules)
            k = min(k + 1, hi)
            _qualify(track, s, k, candidate, hull)
            if candidate[LAST] - candidate[STARTED] < rules.dwell_us:
                return used, hull
        k, is_outside, hull, yardstick = _extend(track, k, hi, candidate, hull, yardstick, rules)
        if k < hi:
            finished = candidate[LAST]
            if is_outside and rules.is_left_at_next_ping:
                finished = track.at[k]
            used = add_stay(rows, used, track, k, candidate, finished, rules)
            candidate[N_PINGS] = 0
    return used, hull
