"""Stays where pings are dense: noise and short absences are bridged, silences weigh little.

The definition, for the pings of one device and of one run (no silence longer than ``gap_s``):

* **Fixes.** Of the pings of the same ten seconds of the clock the first is their *fix*; fixes alone
  decide where stays are, so that the rate of sampling does not matter.
* **Clock.** Time between fixes is counted, but a silence counts for at most half of ``reach_s``. A fix
  stands for half the time to the fix before it and half the time to the fix after it.
* **Core.** A fix is core if at least ``density_share`` of the time within ``reach_s`` of it, either way,
  is spent within ``roam_m`` of it.
* **Links.** Two core fixes within ``roam_m`` and ``reach_s`` of each other are linked. The core fixes in
  time order are cut wherever no link leaps over the cut; what lies between two cuts is a *group*.
* **Pings.** A group's pings are those within ``roam_m`` of one of its core fixes whose own fix is
  within ``reach_s`` of that core fix; before the first core fix of the next group, and later than the
  last ping of the group before.
* **Stay.** A group whose first and last ping are at least ``dwell_s`` apart. Other pings in between
  are noise or an absence of up to ``reach_s``: they do not end the stay, and count neither in its
  centre nor in ``n_pings``.

A core fix thus has ``2 * density_share * reach_s`` of near time around it, if all of its reach was seen:
a shorter stay has none, and neither has who moves faster than ``roam_m / (density_share * reach_s)``.
A lone wrong fix between two silences is bridged at any rate of sampling, as its neighbours are linked.

After the ideas of Birant and Kut, "ST-DBSCAN" (2007): density with a radius in space and another in
time; and of Damiani and others, "Cluster-based trajectory segmentation with local noise" (SeqScan,
2018): groups that follow one another in time, and an absence that is noise within a group unlike the
departure to the next. Ours are the share of time in place of a number of points, the clock, the fixes,
the cut in time in place of reachability (it makes groups that alternate one group) and all defaults.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.stay_density_groups import (
    DenseRules,
    Fixes,
    Groups,
    first_fix_since,
    fix_of,
    fixes_of,
    gather,
    groups_of,
    mark_cores,
    n_fixes,
)
from pipeline.kernels.stay_geometry import Track, position
from pipeline.kernels.stay_scans import (
    DEVICE,
    FIRST,
    LAST,
    LAT,
    LON,
    MAX_GAP,
    N_FIELDS,
    N_PINGS,
    STARTED,
    SUM_U,
    SUM_V,
    Rows,
    begin,
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
    raise_unsorted,
    with_kept_pings,
    with_room,
)

# Ours: a wider "place" is a region; a shorter reach holds no two fixes, a longer one too many for speed.
MAX_ROAM_M = 50_000.0
MIN_REACH_S, MAX_REACH_S = 20.0, 7_200.0
NEVER_US = np.iinfo(np.int64).max
INITIAL_ROWS = 1024
# What is so many reaches older than the last fix is settled: no later ping can change it. A fix is
# core or not by what is within reach of it; one reach further a cut is known, one further still to which
# group a ping belongs.
SETTLED_REACHES = 3
# A field of a carried row that the plain scans do not need here: 1 if the totals are those of a stay.
IS_QUALIFIED = FIRST


@kernel
def _add_stay(rows: Rows, used: int, stay: NDArray[np.int64], dwell_us: int) -> int:
    """Write a stay, if it is one, as row `used`; return the rows now in use."""
    n = stay[N_PINGS]
    if n == 0 or stay[LAST] - stay[STARTED] < dwell_us:
        return used
    ints = rows.ints[used]
    ints[0] = stay[DEVICE]
    ints[1] = stay[STARTED]
    ints[2] = stay[LAST]
    ints[3] = n
    ints[4] = stay[MAX_GAP]
    rows.floats[used, 0], rows.floats[used, 1] = position(stay[LON], stay[LAT], stay[SUM_U] / n, stay[SUM_V] / n)
    return used + 1


@kernel
def _settled_fix(fixes: Fixes, last: int, reach_us: int) -> int:
    """Return the first fix that is not settled while fix `last` is the last one."""
    return first_fix_since(fixes, fixes.clock[last] - SETTLED_REACHES * reach_us)


@kernel
def _first_unsettled(
    track: Track, fixes: Fixes, lo: int, n_kept: int, carried: NDArray[np.int64], reach_us: int
) -> int:
    """Return the first ping that an earlier call has not settled, of a run that begins with what it kept."""
    if n_kept == 0:
        return lo
    if carried[IS_QUALIFIED]:
        return fixes.ping[_settled_fix(fixes, fix_of(fixes, lo + n_kept - 1), reach_us)]
    return lo + np.searchsorted(track.at[lo : lo + n_kept], carried[STARTED])


@kernel
def _groups_of_run(track: Track, fixes: Fixes, unsettled: int, carried: NDArray[np.int64], rules: DenseRules) -> Groups:
    """Return the groups of a run; settled core fixes of the carried stay are one group."""
    unsettled_fix = fix_of(fixes, unsettled)
    mark_cores(fixes, first_fix_since(fixes, fixes.clock[unsettled_fix] - rules.reach_us), rules)
    one_start = 0
    one_stop = 0
    if carried[IS_QUALIFIED]:
        lo = fixes.ping[0]
        since = lo + np.searchsorted(track.at[lo : fixes.ping[n_fixes(fixes)]], carried[STARTED])
        one_start = np.searchsorted(fixes.ping, since)
        one_stop = unsettled_fix
    return groups_of(fixes, one_start, one_stop, rules.roam_m)


@kernel
def _scan_run(
    track: Track,
    fixes: Fixes,
    unsettled: int,
    limit: int,
    carried: NDArray[np.int64],
    rules: DenseRules,
    rows: Rows,
    used: int,
    held: NDArray[np.int64],
) -> int:
    """Add the stays that the pings before `limit` settle, and leave the last of all in `held`."""
    groups = _groups_of_run(track, fixes, unsettled, carried, rules)
    stay = np.zeros(N_FIELDS, np.int64)
    floor_us = track.at[fixes.ping[0]] - 1
    is_pending = carried[IS_QUALIFIED] == 1
    held_last = 0
    for g in range(groups.n):
        stay[:] = 0
        stay[DEVICE] = carried[DEVICE]
        if is_pending and track.at[fixes.ping[groups.last[g]]] >= carried[STARTED]:
            stay[:] = carried
            is_pending = False
        floor_us = gather(track, fixes, groups, g, stay, unsettled, limit, floor_us, rules)
        if stay[N_PINGS] > 0:
            used = _add_stay(rows, used, held, rules.dwell_us)
            held[:] = stay
            held_last = groups.last[g]
    end = n_fixes(fixes)
    if limit == fixes.ping[end] or fixes.clock[fix_of(fixes, limit)] - fixes.clock[held_last] > rules.reach_us:
        used = _add_stay(rows, used, held, rules.dwell_us)
        held[N_PINGS] = 0
    return used


@kernel
def _leave_open(track: Track, fixes: Fixes, limit: int, held: NDArray[np.int64], rules: DenseRules) -> int:
    """Make `held` the row to carry, of which pings before `limit` are settled; return the first ping to keep.

    A stay that has not lasted ``dwell_s`` yet is found anew by the next call, from its first ping on.
    """
    held[IS_QUALIFIED] = held[N_PINGS] > 0 and held[LAST] - held[STARTED] >= rules.dwell_us
    unsettled = limit
    if not held[IS_QUALIFIED]:
        if held[N_PINGS] > 0:
            lo = fixes.ping[0]
            unsettled = lo + np.searchsorted(track.at[lo:limit], held[STARTED])
        begin(held, track, unsettled)
        held[IS_QUALIFIED] = 0
    needed = fixes.clock[fix_of(fixes, unsettled)] - 2 * rules.reach_us
    # One fix more, for what the first needed one stands for.
    return fixes.ping[max(0, first_fix_since(fixes, needed) - 1)]


@kernel
def _end_of_run(at: NDArray[np.int64], lo: int, hi: int, gap_us: int) -> int:
    """Return one past the last ping before the first silence after ping `lo` that is too long."""
    k = lo + 1
    while k < hi and at[k] - at[k - 1] <= gap_us:
        k += 1
    return k


@kernel
def _with_open(open_rows: CarriedRows, n: int, row: NDArray[np.int64], track: Track, lo: int, hi: int) -> CarriedRows:
    """Return the open rows with one more as row `n`, which keeps pings lo..hi-1."""
    start = with_room(open_rows.kept_start.reshape(-1, 1), n + 1, 1).reshape(-1)
    fields = with_room(open_rows.fields, n, 1)
    n_kept = start[n]
    kept = with_room(open_rows.kept, n_kept, hi - lo)
    fields[n] = row
    start[n + 1] = n_kept + hi - lo
    for k in range(lo, hi):
        kept[n_kept + k - lo, 0] = track.at[k]
        kept[n_kept + k - lo, 1] = track.lon_e7[k]
        kept[n_kept + k - lo, 2] = track.lat_e7[k]
    return CarriedRows(fields, start, kept)


@kernel
def _scan_device(
    track: Track,
    lo: int,
    hi: int,
    n_kept: int,
    row: NDArray[np.int64],
    rules: DenseRules,
    closes_at_end: bool,
    rows: Rows,
    used: int,
) -> tuple[int, Rows, int]:
    """Add the stays of pings lo..hi-1, the first `n_kept` of them kept with `row`, which is changed.

    Return (rows now in use, rows, the first ping to keep), the last being `hi` if nothing is left open.
    """
    held = np.zeros(N_FIELDS, np.int64)
    device = row[DEVICE]
    while lo < hi:
        end = _end_of_run(track.at, lo, hi, rules.gap_us)
        fixes = fixes_of(track, lo, end, rules)
        n = n_fixes(fixes)
        rows = Rows(with_room(rows.ints, used, n), with_room(rows.floats, used, n))
        unsettled = _first_unsettled(track, fixes, lo, n_kept, row, rules.reach_us)
        is_open = end == hi and not closes_at_end
        limit = fixes.ping[_settled_fix(fixes, n - 1, rules.reach_us)] if is_open else end
        held[:] = 0
        held[DEVICE] = device
        used = _scan_run(track, fixes, unsettled, limit, row, rules, rows, used, held)
        if is_open:
            kept_from = _leave_open(track, fixes, limit, held, rules)
            row[:] = held
            return used, rows, kept_from
        row[:] = 0
        row[DEVICE] = device
        n_kept = 0
        lo = end
    return used, rows, hi


@kernel
def _sweep(
    device_id: NDArray[np.int64],
    track: Track,
    carried: CarriedRows,
    rules: DenseRules,
    day_end_us: int,
    is_last: bool,
) -> tuple[int, Rows, int, CarriedRows]:
    """Return (number of stays, rows, number of open rows, open rows), device by device.

    Each device's kept pings come before its others. A negative number of stays is an error.
    """
    rows = Rows(np.empty((INITIAL_ROWS, 5), np.int64), np.empty((INITIAL_ROWS, 2), np.float64))
    left = CarriedRows(
        np.empty((INITIAL_ROWS, N_FIELDS), np.int64),
        np.zeros(INITIAL_ROWS, np.int64),
        np.empty((INITIAL_ROWS, 3), np.int64),
    )
    row = np.zeros(N_FIELDS, np.int64)
    used = n_open = lo = r = 0
    while lo < device_id.size:
        hi = end_of_device(device_id, track.at, lo)
        if hi < 0:
            return TIMES_GO_BACK, rows, 0, left
        if hi < device_id.size and device_id[hi] < device_id[lo]:
            return DEVICES_UNSORTED, rows, 0, left
        row[:] = 0
        n_kept = 0
        if r < carried.fields.shape[0] and carried.fields[r, DEVICE] == device_id[lo]:
            row[:] = carried.fields[r]
            n_kept = carried.kept_start[r + 1] - carried.kept_start[r]
            r += 1
        row[DEVICE] = device_id[lo]
        closes_at_end = is_last or day_end_us - track.at[hi - 1] > rules.gap_us
        used, rows, kept_from = _scan_device(track, lo, hi, n_kept, row, rules, closes_at_end, rows, used)
        if kept_from < hi:
            left = _with_open(left, n_open, row, track, kept_from, hi)
            n_open += 1
        lo = hi
    return used, rows, n_open, left


def _rules(roam_m: float, dwell_s: float, gap_s: float, reach_s: float, density_share: float) -> DenseRules:
    """Return the checked parameters in the kernel's units."""
    if not 0 < roam_m <= MAX_ROAM_M:
        raise ValueError(f"roam_m must be above 0 and at most {MAX_ROAM_M}, not {roam_m}")
    if not (0 <= dwell_s < math.inf and gap_s > 0):
        raise ValueError(f"dwell_s must be finite and not negative, gap_s positive: {dwell_s}, {gap_s}")
    if not MIN_REACH_S <= reach_s <= MAX_REACH_S:
        raise ValueError(f"reach_s must be from {MIN_REACH_S} to {MAX_REACH_S}, not {reach_s}")
    if not 0 < density_share <= 1:
        raise ValueError(f"density_share must be above 0 and at most 1, not {density_share}")
    gap_us = NEVER_US if gap_s == math.inf else round(gap_s * US_PER_S)
    reach_us = round(reach_s * US_PER_S)
    return DenseRules(float(roam_m), round(dwell_s * US_PER_S), gap_us, reach_us, reach_us // 2, float(density_share))


def dense_stays(
    device_id: NDArray[np.int64],
    tracked_at_us: NDArray[np.int64],
    lon_e7: NDArray[np.int32],
    lat_e7: NDArray[np.int32],
    open_stays: OpenStays,
    *,
    roam_m: float,
    dwell_s: float,
    gap_s: float,
    reach_s: float,
    density_share: float,
    day_end_us: int,
    is_last: bool,
) -> tuple[Stays, OpenStays]:
    """Return the stays that these pings settle (a row: a group of dense pings), and what is still open.

    Pings: one row each, sorted by (device_id, tracked_at_us); times int64 µs, positions int32 of
    1e-7 degrees, longitudes in [-180, 180]. `open_stays` is what the date before returned with the
    same parameters, or `no_open_stays()`. For a plain call over a whole span pass `is_last=True`.

    - `roam_m` metres (at most is near), `dwell_s` and `gap_s` seconds (`math.inf`: silences never end a
      stay), `reach_s` seconds, `density_share` of 1: see the module.
    - The centre is the mean of the stay's pings. ``n_pings`` are the stay's own; ``max_gap_s`` is the
      longest silence between any two consecutive pings from its first to its last.
    - `day_end_us`: the time (µs) no later call's pings precede. What is silent for more than `gap_s` by
      then is closed. `is_last`: all is closed.

    What is open keeps its pings of the last five ``reach_s`` of the clock, or of more while it has not
    lasted `dwell_s`. A repeated ping changes only ``n_pings`` and the centre; of several pings at the
    first instant of a slot, the one given first is the fix.

    Raises ValueError for a parameter out of range, for unsorted pings, and for pings before those
    already seen of the device.
    """
    rules = _rules(roam_m, dwell_s, gap_s, reach_s, density_share)
    track = Track(frozen(tracked_at_us, np.int64), frozen(lon_e7, np.int32), frozen(lat_e7, np.int32))
    device_id = frozen(device_id, np.int64)
    if not device_id.shape == track.at.shape == track.lon_e7.shape == track.lat_e7.shape:
        raise ValueError("device_id, tracked_at_us, lon_e7 and lat_e7 must have the same length")
    every_row = np.ones(open_stays.device_id.size, np.bool_)
    carried = carried_rows(open_stays, every_row)
    carried.fields[:, IS_QUALIFIED] = open_stays.is_qualified
    device_id, track = with_kept_pings(device_id, track, open_stays, every_row)
    device_id = frozen(device_id, np.int64)
    track = Track(*(frozen(column, column.dtype) for column in track))
    used, rows, n_open, left = _sweep(device_id, track, carried, rules, int(day_end_us), bool(is_last))
    raise_unsorted(used)
    is_qualified = left.fields[:n_open, IS_QUALIFIED] == 1
    still_open = as_open_stays(left, n_open, rules.dwell_us)._replace(is_qualified=is_qualified)
    return Stays.from_rows(rows.ints[:used], rows.floats[:used]), still_open
