"""Stays: where and when a device remained in one place.

A stay is a maximal run of consecutive pings of one device that stays within ``roam_m``, lasts at
least ``dwell_s`` from its first to its last ping, and has no silence longer than ``gap_s``
between consecutive pings. After Hariharan and Toyama, "Project Lachesis" (2004); how the peers
define theirs, and how ours differs, is said at `detect_stays`.

The kernel is called once per date with the pings of many devices and with what the date before
left open. Cutting a span at any midnights gives the same stays, bit for bit, as one call.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.stay_geometry import MEAN, MEDIAN, MEDOID, Track, wrapped_e7
from pipeline.kernels.stay_hulls import DLON as CORNER_DLON
from pipeline.kernels.stay_hulls import LAT as CORNER_LAT
from pipeline.kernels.stay_hulls import Hull, empty_hull
from pipeline.kernels.stay_scans import (
    BOX_BITS,
    DEVICE,
    FIRST,
    LAST,
    LON,
    N_FIELDS,
    N_PINGS,
    STARTED,
    UNHULLED,
    Rows,
    Rules,
    add_stay,
    complete_hull,
    resume,
    scan_anchor,
    scan_diameter,
)
from pipeline.kernels.stay_states import (
    DEVICES_UNSORTED,
    TIMES_GO_BACK,
    US_PER_S,
    CarriedRows,
    OpenStays,
    Stays,
    as_open_stays,
    carried_rows,
    end_of_device,
    frozen,
    no_open_stays,
    raise_unsorted,
    with_kept_pings,
    with_room,
)

__all__ = ["OpenStays", "Stays", "detect_stays", "no_open_stays"]

CRITERIA = ("anchor", "diameter")
CENTRES = {"mean": MEAN, "median": MEDIAN, "medoid": MEDOID}
# Ours: beyond this a "place" is a region, and offsets in degrees about one anchor lose their meaning.
MAX_ROAM_M = 50_000.0
NEVER_US = np.iinfo(np.int64).max
INITIAL_ROWS = 1024


@kernel
def _most_stays(span_us: int, n_pings: int, dwell_us: int) -> int:
    """Return a bound on the stays that can close: each takes a ping and `dwell_us` of the span."""
    if dwell_us == 0:
        return n_pings + 1
    return min(n_pings + 1, span_us // dwell_us + 2)


@kernel
def _kept_pings(
    candidate: NDArray[np.int64], track: Track, hi: int, hull: Hull, is_raw: bool, is_anchor: bool
) -> NDArray[np.int64]:
    """Return the (at, lon_e7, lat_e7) rows that the open candidate has to carry."""
    if is_raw:
        first = candidate[FIRST]
        kept = np.empty((hi - first, 3), np.int64)
        for k in range(first, hi):
            kept[k - first, 0] = track.at[k]
            kept[k - first, 1] = track.lon_e7[k]
            kept[k - first, 2] = track.lat_e7[k]
        return kept
    n = 0 if is_anchor else hull.size[0]
    kept = np.zeros((n, 3), np.int64)
    for i in range(n):
        dlon = np.int64(hull.corners[i, CORNER_DLON])
        kept[i, 1] = wrapped_e7(candidate[LON] + dlon)
        kept[i, 2] = np.int64(hull.corners[i, CORNER_LAT])
    return kept


@kernel
def _with_open(
    open_rows: CarriedRows, n_open: int, candidate: NDArray[np.int64], kept: NDArray[np.int64]
) -> CarriedRows:
    """Return the open candidates with one more as row `n_open`."""
    starts = with_room(open_rows.kept_start.reshape(-1, 1), n_open + 1, 1).reshape(-1)
    fields = with_room(open_rows.fields, n_open, 1)
    n_kept = starts[n_open]
    stop = n_kept + kept.shape[0]
    all_kept = with_room(open_rows.kept, n_kept, kept.shape[0])
    fields[n_open] = candidate
    all_kept[n_kept:stop] = kept
    starts[n_open + 1] = stop
    return CarriedRows(fields, starts, all_kept)


@kernel
def _rows_with_room(rows: Rows, used: int, extra: int) -> Rows:
    """Return rows for `extra` more stays."""
    return Rows(with_room(rows.ints, used, extra), with_room(rows.floats, used, extra))


@kernel
def _take_up(
    candidate: NDArray[np.int64],
    carried: CarriedRows,
    row: int,
    hull: Hull,
    is_anchor: bool,
    lo: int,
    roam_m: float,
) -> Hull:
    """Make a carried row the candidate, with pings from `lo` on to come; return its hull."""
    candidate[:] = carried.fields[row]
    candidate[UNHULLED] = lo
    if is_anchor:
        return hull
    kept = carried.kept[carried.kept_start[row] : carried.kept_start[row + 1]]
    return resume(candidate, hull, kept, roam_m)


@kernel
def _sweep(
    device_id: NDArray[np.int64],
    track: Track,
    carried: CarriedRows,
    rules: Rules,
    is_anchor: bool,
    day_end_us: int,
    is_last: bool,
) -> tuple[int, Rows, int, CarriedRows]:
    """Return (number of stays, rows, number of open candidates, open candidates), device by device.

    A negative number of stays is an error: DEVICES_UNSORTED, or TIMES_GO_BACK.
    """
    n = device_id.size
    n_carried = carried.fields.shape[0]
    rows = Rows(np.empty((INITIAL_ROWS, 5), np.int64), np.empty((INITIAL_ROWS, 2), np.float64))
    still_open = CarriedRows(
        np.empty((INITIAL_ROWS, N_FIELDS), np.int64),
        np.zeros(INITIAL_ROWS, np.int64),
        np.empty((INITIAL_ROWS, 3), np.int64),
    )
    boxes = np.empty((0 if is_anchor else (n >> BOX_BITS) + 1, 4), np.int64)
    hull = empty_hull()
    candidate = np.zeros(N_FIELDS, np.int64)
    used = n_open = lo = row = 0
    while lo < n or row < n_carried:
        hi = lo
        candidate[:] = 0
        hull.size[:] = 0
        if row < n_carried and (lo == n or carried.fields[row, DEVICE] <= device_id[lo]):
            hull = _take_up(candidate, carried, row, hull, is_anchor, lo, rules.roam_m)
            row += 1
        if lo < n and (candidate[N_PINGS] == 0 or candidate[DEVICE] == device_id[lo]):
            hi = end_of_device(device_id, track.at, lo)
            if hi < 0 or (candidate[N_PINGS] > 0 and track.at[lo] < candidate[LAST]):
                return TIMES_GO_BACK, rows, 0, still_open
            if hi < n and device_id[hi] < device_id[lo]:
                return DEVICES_UNSORTED, rows, 0, still_open
            candidate[DEVICE] = device_id[lo]
            since = candidate[STARTED] if candidate[N_PINGS] > 0 else track.at[lo]
            rows = _rows_with_room(rows, used, _most_stays(track.at[hi - 1] - since, hi - lo, rules.dwell_us))
            if is_anchor:
                used = scan_anchor(track, lo, hi, candidate, rules, rows, used)
            else:
                used, hull = scan_diameter(track, lo, hi, candidate, hull, boxes, rules, rows, used)
        is_qualified = candidate[LAST] - candidate[STARTED] >= rules.dwell_us
        if is_last or day_end_us - candidate[LAST] > rules.gap_us:
            if is_qualified:
                rows = _rows_with_room(rows, used, 1)
                used = add_stay(rows, used, track, hi, candidate, candidate[LAST], rules)
        else:
            is_raw = rules.centre != MEAN or not (is_anchor or is_qualified)
            if not (is_raw or is_anchor):
                hull = complete_hull(track, candidate[UNHULLED], hi, candidate, hull, rules.roam_m)
            kept = _kept_pings(candidate, track, hi, hull, is_raw, is_anchor)
            still_open = _with_open(still_open, n_open, candidate, kept)
            n_open += 1
        lo = hi
    return used, rows, n_open, still_open


def _rules(
    criterion: str, centre: str, roam_m: float, dwell_s: float, gap_s: float, leaves_at_next_ping: bool
) -> Rules:
    """Return the checked parameters in the kernel's units."""
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {CRITERIA}, not {criterion!r}")
    if centre not in CENTRES:
        raise ValueError(f"centre must be one of {tuple(CENTRES)}, not {centre!r}")
    if not 0 < roam_m <= MAX_ROAM_M:
        raise ValueError(f"roam_m must be above 0 and at most {MAX_ROAM_M}, not {roam_m}")
    if not (0 <= dwell_s < math.inf and gap_s > 0):
        raise ValueError(f"dwell_s must be finite and not negative, gap_s positive: {dwell_s}, {gap_s}")
    gap_us = NEVER_US if gap_s == math.inf else round(gap_s * US_PER_S)
    return Rules(float(roam_m), round(dwell_s * US_PER_S), gap_us, bool(leaves_at_next_ping), CENTRES[centre])


def detect_stays(
    device_id: NDArray[np.int64],
    tracked_at_us: NDArray[np.int64],
    lon_e7: NDArray[np.int32],
    lat_e7: NDArray[np.int32],
    open_stays: OpenStays,
    *,
    criterion: str,
    centre: str,
    roam_m: float,
    dwell_s: float,
    gap_s: float,
    leaves_at_next_ping: bool,
    day_end_us: int,
    is_last: bool,
) -> tuple[Stays, OpenStays]:
    """Return the stays that close with these pings, and the candidates still open.

    Pings: one row each, sorted by (device_id, tracked_at_us); times int64 µs, positions int32 of
    1e-7 degrees, longitudes in [-180, 180]. `open_stays` is what the date before returned with the
    same parameters, or `no_open_stays()`. For a plain call over a whole span pass `is_last=True`.

    - `criterion` "anchor": every ping within `roam_m` (metres, at most is near) of the candidate's
      first ping; the first ping outside begins the next candidate. "diameter": every pair of
      pings within `roam_m`; while the pings of the first `dwell_s` do not fit, the candidate
      starts one ping later.
    - `dwell_s`: seconds from first to last ping, at least. `gap_s`: a longer silence closes the
      candidate at its last ping; `math.inf` for no such rule.
    - `centre`: "mean", "median" (of the two coordinates apart) or "medoid" (ours: the ping nearest
      to the mean, the earliest of equals). Longitudes are offsets from the first ping, so that the
      antimeridian is no border; within one degree of a pole the offsets are those in the plane
      through the pole, where a mean is that of the unit vectors to within a millimetre.
    - `leaves_at_next_ping`: `finished_at` of a candidate closed by a ping outside is that ping's
      time, and "anchor" tests the duration with it. False: the last ping inside.
    - `day_end_us`: the time (µs) no later call's pings precede. Candidates silent for more than
      `gap_s` by then are closed, the others carried. `is_last`: all are closed.

    Raises ValueError for a parameter out of range, for unsorted pings, and for pings before those
    already seen of the device.

    "diameter" is the criterion of Hariharan and Toyama (2004), as coded by De Nadai (2019), with
    the silence rule added. "anchor" is that of scikit-mobility and trackintel, which differ: they
    end a stay at the first ping outside (`leaves_at_next_ping`) and drop a candidate that a silence
    interrupts, however long it had lasted; scikit-mobility asks for strictly more than the dwell.
    """
    rules = _rules(criterion, centre, roam_m, dwell_s, gap_s, leaves_at_next_ping)
    track = Track(frozen(tracked_at_us, np.int64), frozen(lon_e7, np.int32), frozen(lat_e7, np.int32))
    device_id = frozen(device_id, np.int64)
    if not device_id.shape == track.at.shape == track.lon_e7.shape == track.lat_e7.shape:
        raise ValueError("device_id, tracked_at_us, lon_e7 and lat_e7 must have the same length")
    is_anchor = criterion == "anchor"
    is_compact = np.full(open_stays.device_id.size, centre == "mean")
    if not is_anchor:
        is_compact &= open_stays.is_qualified
    device_id, track = with_kept_pings(device_id, track, open_stays, ~is_compact)
    device_id = frozen(device_id, np.int64)
    track = Track(*(frozen(column, column.dtype) for column in track))
    carried = carried_rows(open_stays, is_compact)
    used, rows, n_open, still_open = _sweep(device_id, track, carried, rules, is_anchor, int(day_end_us), bool(is_last))
    raise_unsorted(used)
    stays = Stays.from_rows(rows.ints[:used], rows.floats[:used])
    return stays, as_open_stays(still_open, n_open, rules.dwell_us)
