"""Stays: where and when a device remained in one place.

A stay is a maximal run of consecutive pings of one device that stays within ``roam_m``, lasts at
least ``dwell_s`` from its first to its last ping, and has no silence longer than ``gap_s``
between consecutive pings. After Hariharan and Toyama, "Project Lachesis" (2004); how the peers
define theirs, and how ours differs, is said at `detect_stays`.

The kernel is called once per date with the pings of many devices and with what the date before
left open. Cutting a span at any midnights gives the same stays, bit for bit, as one call.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.stay_geometry import MEAN, MEDIAN, MEDOID, Track, wrapped_e7
from pipeline.kernels.stay_hulls import DLON as CORNER_DLON
from pipeline.kernels.stay_hulls import LAT as CORNER_LAT
from pipeline.kernels.stay_hulls import empty_hull
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

CRITERIA = ("anchor", "diameter")
CENTRES = {"mean": MEAN, "median": MEDIAN, "medoid": MEDOID}
# Ours: beyond this a "place" is a region, and offsets in degrees about one anchor lose their meaning.
MAX_ROAM_M = 50_000.0
US_PER_S = 1_000_000
NEVER_US = np.iinfo(np.int64).max
INITIAL_ROWS = 1024


class OpenStays(NamedTuple):
    """Candidates that the next date continues, one row per device in device order.

    Times are int64 µs, positions int32 of 1e-7 degrees; the sums are integer offsets from the
    anchor, which is the first ping. ``kept_*[kept_start[i]:kept_start[i + 1]]`` are the pings that
    row i still needs: none for criterion "anchor" with centre "mean"; the corners of the hull for
    a qualified stay with "diameter" and "mean" (their ``kept_at`` is 0); all pings so far in every
    other case, which for "median" and "medoid" grows with the stay.
    """

    device_id: NDArray[np.int64]
    is_qualified: NDArray[np.bool_]
    anchor_lon_e7: NDArray[np.int32]
    anchor_lat_e7: NDArray[np.int32]
    started_at: NDArray[np.int64]
    last_at: NDArray[np.int64]
    n_pings: NDArray[np.int64]
    max_gap_us: NDArray[np.int64]
    sum_dlon: NDArray[np.int64]
    sum_dlat: NDArray[np.int64]
    kept_start: NDArray[np.int64]
    kept_lon_e7: NDArray[np.int32]
    kept_lat_e7: NDArray[np.int32]
    kept_at: NDArray[np.int64]


class Stays(NamedTuple):
    """Closed stays sorted by (device_id, started_at): times int64 µs, lon and lat float64 degrees.

    ``n_pings`` is int64; ``max_gap_s`` (float64) is the longest silence inside the stay, which is
    the most that was bridged without observation in one piece.
    """

    device_id: NDArray[np.int64]
    started_at: NDArray[np.int64]
    finished_at: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    n_pings: NDArray[np.int64]
    max_gap_s: NDArray[np.float64]


class _Carried(NamedTuple):
    """Open candidates as the sweep holds them: candidate fields, and (at, lon_e7, lat_e7) kept pings."""

    fields: NDArray[np.int64]
    kept_start: NDArray[np.int64]
    kept: NDArray[np.int64]


@kernel
def _with_room(table: NDArray, used: int, extra: int) -> NDArray:
    """Return `table`, or a larger copy of its first `used` rows, with room for `extra` more."""
    if used + extra <= table.shape[0]:
        return table
    larger = np.empty((max(2 * table.shape[0], used + extra), table.shape[1]), table.dtype)
    larger[:used] = table[:used]
    return larger


@kernel
def _end_of_device(device_id: NDArray[np.int64], at: NDArray[np.int64], lo: int) -> int:
    """Return one past the last ping of the device of ping `lo`, or -1 if its times go back."""
    hi = lo + 1
    while hi < device_id.size and device_id[hi] == device_id[lo]:
        if at[hi] < at[hi - 1]:
            return -1
        hi += 1
    return hi


@kernel
def _most_stays(span_us: int, n_pings: int, dwell_us: int) -> int:
    """Return a bound on the stays that can close: each takes a ping and `dwell_us` of the span."""
    if dwell_us == 0:
        return n_pings + 1
    return min(n_pings + 1, span_us // dwell_us + 2)


@kernel
def _kept_pings(candidate, track, hi, hull, is_raw, is_anchor):  # type: ignore[no-untyped-def]
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
def _sweep(device_id, track, carried, rules, is_anchor, day_end_us, is_last):  # type: ignore[no-untyped-def]
    """Return (n_stays, rows, n_open, open fields, open kept starts, open kept); n_stays < 0 is an error.

    -1: devices not ascending. -2: times of a device go back (also against the carried state).
    """
    n = device_id.size
    n_carried = carried.fields.shape[0]
    rows = Rows(np.empty((INITIAL_ROWS, 5), np.int64), np.empty((INITIAL_ROWS, 2), np.float64))
    fields = np.empty((INITIAL_ROWS, N_FIELDS), np.int64)
    kept_start = np.zeros((INITIAL_ROWS, 1), np.int64)
    kept = np.empty((INITIAL_ROWS, 3), np.int64)
    boxes = np.empty((0 if is_anchor else (n >> BOX_BITS) + 1, 4), np.int64)
    hull = empty_hull()
    candidate = np.zeros(N_FIELDS, np.int64)
    used = 0
    n_open = 0
    n_kept = 0
    lo = 0
    row = 0
    while lo < n or row < n_carried:
        hi = lo
        candidate[:] = 0
        hull.size[:] = 0
        if row < n_carried and (lo == n or carried.fields[row, DEVICE] <= device_id[lo]):
            candidate[:] = carried.fields[row]
            if not is_anchor:
                kept_now = carried.kept[carried.kept_start[row] : carried.kept_start[row + 1]]
                hull = resume(candidate, hull, kept_now, rules.roam_m)
                candidate[UNHULLED] = lo
            row += 1
        if lo < n and (candidate[N_PINGS] == 0 or candidate[DEVICE] == device_id[lo]):
            hi = _end_of_device(device_id, track.at, lo)
            if hi < 0 or (candidate[N_PINGS] > 0 and track.at[lo] < candidate[LAST]):
                return -2, rows, 0, fields, kept_start, kept
            if hi < n and device_id[hi] < device_id[lo]:
                return -1, rows, 0, fields, kept_start, kept
            candidate[DEVICE] = device_id[lo]
            since = candidate[STARTED] if candidate[N_PINGS] > 0 else track.at[lo]
            extra = _most_stays(track.at[hi - 1] - since, hi - lo, rules.dwell_us)
            rows = Rows(_with_room(rows.ints, used, extra), _with_room(rows.floats, used, extra))
            if is_anchor:
                used = scan_anchor(track, lo, hi, candidate, rules, rows, used)
            else:
                used, hull = scan_diameter(track, lo, hi, candidate, hull, boxes, rules, rows, used)
        is_qualified = candidate[LAST] - candidate[STARTED] >= rules.dwell_us
        if candidate[N_PINGS] == 0:
            pass
        elif is_last or day_end_us - candidate[LAST] > rules.gap_us:
            if is_qualified:
                rows = Rows(_with_room(rows.ints, used, 1), _with_room(rows.floats, used, 1))
                used = add_stay(rows, used, track, hi, candidate, candidate[LAST], rules)
        else:
            is_raw = rules.centre != MEAN or not (is_anchor or is_qualified)
            if not (is_raw or is_anchor):
                unhulled = candidate[UNHULLED]
                hull = complete_hull(track, unhulled, hi, candidate, hull, rules.roam_m)
            more = _kept_pings(candidate, track, hi, hull, is_raw, is_anchor)
            fields = _with_room(fields, n_open, 1)
            kept_start = _with_room(kept_start, n_open + 1, 1)
            kept = _with_room(kept, n_kept, more.shape[0])
            fields[n_open] = candidate
            kept[n_kept : n_kept + more.shape[0]] = more
            n_open += 1
            n_kept += more.shape[0]
            kept_start[n_open, 0] = n_kept
        lo = hi
    return used, rows, n_open, fields, kept_start, kept


def no_open_stays() -> OpenStays:
    """Return the state before the first date: no device has an open candidate."""
    return OpenStays(
        device_id=np.empty(0, np.int64),
        is_qualified=np.empty(0, np.bool_),
        anchor_lon_e7=np.empty(0, np.int32),
        anchor_lat_e7=np.empty(0, np.int32),
        started_at=np.empty(0, np.int64),
        last_at=np.empty(0, np.int64),
        n_pings=np.empty(0, np.int64),
        max_gap_us=np.empty(0, np.int64),
        sum_dlon=np.empty(0, np.int64),
        sum_dlat=np.empty(0, np.int64),
        kept_start=np.zeros(1, np.int64),
        kept_lon_e7=np.empty(0, np.int32),
        kept_lat_e7=np.empty(0, np.int32),
        kept_at=np.empty(0, np.int64),
    )


def _rules(criterion, centre, roam_m, dwell_s, gap_s, leaves_at_next_ping) -> Rules:  # type: ignore[no-untyped-def]
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


def _frozen(values: NDArray, dtype: type) -> NDArray:
    """Return a contiguous read-only view (a copy if need be), so that one compiled kernel serves all."""
    view = np.ascontiguousarray(values, dtype).view()
    view.flags.writeable = False
    return view


def _with_kept_pings(
    device_id: NDArray[np.int64], track: Track, open_stays: OpenStays, is_raw: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Track]:
    """Return the pings with the kept pings of the raw rows put before those of the same device."""
    counts = np.diff(open_stays.kept_start)
    is_kept = np.repeat(is_raw, counts)
    if not is_kept.any():
        return device_id, track
    kept_id = np.repeat(open_stays.device_id, counts)[is_kept]
    place = np.searchsorted(device_id, kept_id, side="left")
    kept = (open_stays.kept_at, open_stays.kept_lon_e7, open_stays.kept_lat_e7)
    merged = (np.insert(mine, place, theirs[is_kept]) for mine, theirs in zip(track, kept, strict=True))
    return np.insert(device_id, place, kept_id), Track(*merged)


def _carried(open_stays: OpenStays, is_compact: NDArray[np.bool_]) -> _Carried:
    """Return the rows that go on from their running totals."""
    o = open_stays
    n = o.device_id.size
    columns = (o.device_id, o.anchor_lon_e7, o.anchor_lat_e7, o.started_at, o.last_at, o.n_pings)
    columns += (o.max_gap_us, o.sum_dlon, o.sum_dlat)
    fields = np.zeros((n, N_FIELDS), np.int64)
    fields[:, : len(columns)] = np.column_stack([np.asarray(column, np.int64) for column in columns])
    counts = np.diff(o.kept_start)
    kept = np.column_stack([o.kept_at, o.kept_lon_e7, o.kept_lat_e7]).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(counts[is_compact])]).astype(np.int64)
    return _Carried(fields[is_compact], start, kept[np.repeat(is_compact, counts)])


def _as_open_stays(
    fields: NDArray[np.int64], kept_start: NDArray[np.int64], kept: NDArray[np.int64], dwell_us: int
) -> OpenStays:
    """Return the sweep's open candidates as flat columns."""
    columns = [np.ascontiguousarray(column) for column in fields.T]
    device_id, lon, lat, started, last, n_pings, max_gap, sum_u, sum_v = columns[:FIRST]
    return OpenStays(
        device_id=device_id,
        is_qualified=last - started >= dwell_us,
        anchor_lon_e7=lon.astype(np.int32),
        anchor_lat_e7=lat.astype(np.int32),
        started_at=started,
        last_at=last,
        n_pings=n_pings,
        max_gap_us=max_gap,
        sum_dlon=sum_u,
        sum_dlat=sum_v,
        kept_start=kept_start,
        kept_lon_e7=kept[:, 1].astype(np.int32),
        kept_lat_e7=kept[:, 2].astype(np.int32),
        kept_at=kept[:, 0].copy(),
    )


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
    track = Track(_frozen(tracked_at_us, np.int64), _frozen(lon_e7, np.int32), _frozen(lat_e7, np.int32))
    device_id = _frozen(device_id, np.int64)
    if not device_id.shape == track.at.shape == track.lon_e7.shape == track.lat_e7.shape:
        raise ValueError("device_id, tracked_at_us, lon_e7 and lat_e7 must have the same length")
    is_anchor = criterion == "anchor"
    is_compact = np.full(open_stays.device_id.size, centre == "mean")
    if not is_anchor:
        is_compact &= open_stays.is_qualified
    device_id, track = _with_kept_pings(device_id, track, open_stays, ~is_compact)
    device_id = _frozen(device_id, np.int64)
    track = Track(*(_frozen(column, column.dtype) for column in track))
    carried = _carried(open_stays, is_compact)
    used, rows, n_open, fields, kept_start, kept = _sweep(
        device_id, track, carried, rules, is_anchor, day_end_us, is_last
    )
    if used == -1:
        raise ValueError("pings are not sorted by device_id")
    if used == -2:
        raise ValueError("tracked_at_us goes back within a device, or behind its open stay")
    kept_start = kept_start[: n_open + 1, 0].copy()
    still_open = _as_open_stays(fields[:n_open], kept_start, kept[: kept_start[-1]], rules.dwell_us)
    ints = [np.ascontiguousarray(column) for column in rows.ints[:used].T]
    lon, lat = (np.ascontiguousarray(column) for column in rows.floats[:used].T)
    stays = Stays(ints[0], ints[1], ints[2], lon, lat, ints[3], ints[4] / US_PER_S)
    return stays, still_open
