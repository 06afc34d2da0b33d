"""Fixes, core fixes and groups of them: where the pings of one device are dense in place and time.

One run of pings (no silence longer than ``gap_s``) goes through three steps, each linear in its fixes
and in the number of fixes within ``reach_s``, which `SLOT_US` bounds. The definition is that of
`stay_density`; all of it is in integers but for the distances, which are those of `haversine_m`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import inline, kernel
from pipeline.kernels.stay_geometry import (
    Track,
    Yardstick,
    is_near,
    is_out_of_reach,
    offset,
    wrapped_e7,
    yardstick_at,
)
from pipeline.kernels.stay_scans import LAST, LAT, LON, MAX_GAP, N_PINGS, SUM_U, SUM_V, begin

# Pings of the same ten seconds of the clock have one fix (ours: far below the minute over which
# errors of positions last, and it bounds the fixes within reach of one another). It divides a week.
SLOT_US = 10_000_000


class DenseRules(NamedTuple):
    """What makes a stay: metres, µs for times; `hush_us` is what a silence counts at most."""

    roam_m: float
    dwell_us: int
    gap_us: int
    reach_us: int
    hush_us: int
    density_share: float


class Fixes(NamedTuple):
    """The first ping of each slot of a run: int64, one column per fix.

    ``ping`` is its index in the track and has one entry more, the end of the run; ``clock`` are the
    µs since the run began, silences counted up to `hush_us`; ``weight`` is twice the time it stands
    for; fixes ``reach_start..reach_stop - 1`` are within reach; ``is_core`` is 0 or 1.
    """

    ping: NDArray[np.int64]
    clock: NDArray[np.int64]
    lon: NDArray[np.int64]
    lat: NDArray[np.int64]
    weight: NDArray[np.int64]
    reach_start: NDArray[np.int64]
    reach_stop: NDArray[np.int64]
    is_core: NDArray[np.int64]


class Groups(NamedTuple):
    """Groups of core fixes in time order: ``first[:n]`` and ``last[:n]`` are their outermost fixes."""

    n: int
    first: NDArray[np.int64]
    last: NDArray[np.int64]


@kernel
def _count_fixes(at: NDArray[np.int64], lo: int, hi: int) -> int:
    """Return the number of slots that pings lo..hi-1 fall in."""
    n = 1
    slot_stop = (at[lo] // SLOT_US + 1) * SLOT_US
    for k in range(lo + 1, hi):
        if at[k] >= slot_stop:
            n += 1
            slot_stop = (at[k] // SLOT_US + 1) * SLOT_US
    return n


@kernel
def _set_fix(fixes: Fixes, f: int, track: Track, k: int, hush_us: int) -> None:
    """Make ping k the fix f: its place, and its time on the clock."""
    fixes.ping[f] = k
    fixes.lon[f] = track.lon_e7[k]
    fixes.lat[f] = track.lat_e7[k]
    fixes.clock[f] = 0
    if f > 0:
        fixes.clock[f] = fixes.clock[f - 1] + min(hush_us, track.at[k] - track.at[fixes.ping[f - 1]])


@kernel
def _set_reach(fixes: Fixes, n: int, reach_us: int) -> None:
    """Fill in what each fix stands for and which fixes it reaches."""
    clock = fixes.clock
    start = 0
    stop = 0
    for f in range(n):
        fixes.weight[f] = clock[min(f + 1, n - 1)] - clock[max(f - 1, 0)]
        while clock[f] - clock[start] > reach_us:
            start += 1
        while stop < n and clock[stop] - clock[f] <= reach_us:
            stop += 1
        fixes.reach_start[f] = start
        fixes.reach_stop[f] = stop


@kernel
def fixes_of(track: Track, lo: int, hi: int, rules: DenseRules) -> Fixes:
    """Return the fixes of the run of pings lo..hi-1, none of them core yet."""
    n = _count_fixes(track.at, lo, hi)
    t = np.zeros((8, n + 1), np.int64)
    fixes = Fixes(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7])
    f = 0
    slot_stop = track.at[lo]
    for k in range(lo, hi):
        if track.at[k] >= slot_stop:
            slot_stop = (track.at[k] // SLOT_US + 1) * SLOT_US
            _set_fix(fixes, f, track, k, rules.hush_us)
            f += 1
    fixes.ping[n] = hi
    _set_reach(fixes, n, rules.reach_us)
    return fixes


@kernel
def n_fixes(fixes: Fixes) -> int:
    """Return the number of fixes."""
    return fixes.ping.size - 1


@kernel
def fix_of(fixes: Fixes, k: int) -> int:
    """Return the fix in whose slot ping k is."""
    return np.searchsorted(fixes.ping, k, side="right") - 1


@kernel
def first_fix_since(fixes: Fixes, clock: int) -> int:
    """Return the first fix at or after a time of the clock (the number of fixes if there is none)."""
    return np.searchsorted(fixes.clock[: n_fixes(fixes)], clock)


@inline
def _are_near(fixes: Fixes, f: int, g: int, yardstick: Yardstick, roam_m: float) -> bool:
    """Return whether two fixes are within `roam_m`; the yardstick is that of fix f."""
    return is_near(yardstick, roam_m, fixes.lat[f], wrapped_e7(fixes.lon[g] - fixes.lon[f]), fixes.lat[g])


@kernel
def yardstick_for(yardstick: Yardstick, lat_e7: int, roam_m: float) -> Yardstick:
    """Return the yardstick, or another if the latitude is out of its reach."""
    return yardstick_at(lat_e7, roam_m) if is_out_of_reach(yardstick, lat_e7) else yardstick


@kernel
def _near_weights(fixes: Fixes, roam_m: float) -> NDArray[np.int64]:
    """Return, for each fix, the weight of the fixes near it and within reach, its own included."""
    near = np.zeros(n_fixes(fixes), np.int64)
    yardstick = yardstick_at(fixes.lat[0], roam_m)
    for f in range(near.size):
        yardstick = yardstick_for(yardstick, fixes.lat[f], roam_m)
        own = fixes.weight[f]
        total = own
        for g in range(fixes.reach_start[f], f):
            if _are_near(fixes, f, g, yardstick, roam_m):
                total += fixes.weight[g]
                near[g] += own
        near[f] += total
    return near


@kernel
def mark_cores(fixes: Fixes, visible: int, rules: DenseRules) -> None:
    """Find the core fixes among those from `visible` on (of the others too little is known)."""
    near = _near_weights(fixes, rules.roam_m)
    start = 0
    stop = 0
    total = 0
    for f in range(near.size):
        while stop < fixes.reach_stop[f]:
            total += fixes.weight[stop]
            stop += 1
        while start < fixes.reach_start[f]:
            total -= fixes.weight[start]
            start += 1
        fixes.is_core[f] = f >= visible and near[f] >= rules.density_share * total


@kernel
def _first_linked(fixes: Fixes, f: int, yardstick: Yardstick, roam_m: float) -> int:
    """Return the earliest core fix that core fix f is linked to, or f itself."""
    for g in range(fixes.reach_start[f], f):
        if fixes.is_core[g] and _are_near(fixes, f, g, yardstick, roam_m):
            return g
    return f


@kernel
def groups_of(fixes: Fixes, one_start: int, one_stop: int, roam_m: float) -> Groups:
    """Return the groups of core fixes; those in one_start..one_stop-1 are known to be of one group.

    A group that a link leaps over is one with the group the link comes from.
    """
    first = np.empty(n_fixes(fixes), np.int64)
    last = np.empty(n_fixes(fixes), np.int64)
    yardstick = yardstick_at(fixes.lat[0], roam_m)
    n = 0
    for f in range(first.size):
        if not fixes.is_core[f]:
            continue
        yardstick = yardstick_for(yardstick, fixes.lat[f], roam_m)
        linked = _first_linked(fixes, f, yardstick, roam_m)
        if one_start <= f < one_stop and n > 0 and last[n - 1] >= one_start:
            linked = min(linked, last[n - 1])
        while n > 0 and first[n - 1] > linked:
            n -= 1
        if linked == f:
            first[n] = f
            n += 1
        last[n - 1] = f
    return Groups(n, first, last)


@inline
def _is_near_fix(track: Track, k: int, fixes: Fixes, f: int, yardstick: Yardstick, roam_m: float) -> bool:
    """Return whether ping k is within `roam_m` of fix f; the yardstick is that of the ping."""
    dlon = wrapped_e7(fixes.lon[f] - track.lon_e7[k])
    return is_near(yardstick, roam_m, np.int64(track.lat_e7[k]), dlon, fixes.lat[f])


@kernel
def _near_core(
    track: Track, k: int, fixes: Fixes, start: int, stop: int, guess: int, yardstick: Yardstick, roam_m: float
) -> int:
    """Return a core fix of start..stop-1 that ping k is near, or -1; `guess` is asked first."""
    if start <= guess < stop and fixes.is_core[guess] and _is_near_fix(track, k, fixes, guess, yardstick, roam_m):
        return guess
    for f in range(start, stop):
        if fixes.is_core[f] and _is_near_fix(track, k, fixes, f, yardstick, roam_m):
            return f
    return -1


@inline
def _include(stay: NDArray[np.int64], track: Track, k: int, silence: int) -> None:
    """Add ping k to the totals; `silence` is the longest one since the ping before it."""
    if stay[N_PINGS] == 0:
        begin(stay, track, k)
        return
    u, v = offset(stay[LON], stay[LAT], track.lon_e7[k], track.lat_e7[k])
    stay[SUM_U] += u
    stay[SUM_V] += v
    stay[N_PINGS] += 1
    stay[LAST] = track.at[k]
    stay[MAX_GAP] = max(stay[MAX_GAP], silence)


@kernel
def gather(
    track: Track,
    fixes: Fixes,
    groups: Groups,
    g: int,
    stay: NDArray[np.int64],
    unsettled: int,
    limit: int,
    floor_us: int,
    rules: DenseRules,
) -> int:
    """Add the pings of group g from `unsettled` on and before `limit` to the totals of its stay.

    Only pings after `floor_us` are the group's; return the time of its last ping (after `limit`
    too), or `floor_us` if it has none.
    """
    first = groups.first[g]
    last = groups.last[g]
    stop = groups.first[g + 1] if g + 1 < groups.n else n_fixes(fixes)
    # The last settled ping of a carried stay is a core fix or within reach of one, so it is not before `start`.
    start = fixes.reach_start[first]
    if stay[N_PINGS] > 0:
        floor_us = stay[LAST]
    last_us = floor_us
    before_us = floor_us
    silence = 0
    guess = first
    yardstick = yardstick_at(fixes.lat[first], rules.roam_m)
    for f in range(start, min(stop, fixes.reach_stop[last])):
        core_start = max(first, fixes.reach_start[f])
        core_stop = min(last + 1, fixes.reach_stop[f])
        for k in range(fixes.ping[f], fixes.ping[f + 1]):
            at = track.at[k]
            if at <= floor_us:
                continue
            silence = max(silence, at - before_us)
            before_us = at
            if k < unsettled:
                continue
            yardstick = yardstick_for(yardstick, np.int64(track.lat_e7[k]), rules.roam_m)
            near = _near_core(track, k, fixes, core_start, core_stop, guess, yardstick, rules.roam_m)
            if near >= 0:
                guess = near
                last_us = at
                if k < limit:
                    _include(stay, track, k, silence)
                    silence = 0
    return last_us
