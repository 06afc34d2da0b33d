"""The slow, obvious twin of `dense_stays`: plain loops, written from the definition and not from the kernel."""

import itertools
import math
import statistics
from typing import NamedTuple

from tests.naive import naive_distance_m

SLOT_US = 10_000_000


class Ping(NamedTuple):
    at: int
    lon: float
    lat: float


class Fix(NamedTuple):
    ping: Ping
    clock: int
    """µs since the run began, a silence counting for at most half the reach."""
    weight: int
    """Twice the µs it stands for."""


def _near(a, b, roam_m):
    return naive_distance_m(a.lon, a.lat, b.lon, b.lat) <= roam_m


def _runs(pings, gap_us):
    runs = [[pings[0]]]
    for before, ping in itertools.pairwise(pings):
        if ping.at - before.at > gap_us:
            runs.append([])
        runs[-1].append(ping)
    return runs


def _fixes(run, reach_us):
    """Return the fixes in time order, by their slots."""
    firsts = {}
    for ping in run:
        firsts.setdefault(ping.at // SLOT_US, ping)
    pings = list(firsts.values())
    steps = [0] + [min(b.at - a.at, reach_us // 2) for a, b in itertools.pairwise(pings)] + [0]
    return {
        slot: Fix(ping, sum(steps[: i + 1]), steps[i] + steps[i + 1]) for i, (slot, ping) in enumerate(firsts.items())
    }


def _are_in_reach(a, b, reach_us):
    return abs(a.clock - b.clock) <= reach_us


def _is_core(fix, fixes, roam_m, reach_us, density_share):
    around = [other for other in fixes if _are_in_reach(fix, other, reach_us)]
    near = sum(other.weight for other in around if _near(fix.ping, other.ping, roam_m))
    return near >= density_share * sum(other.weight for other in around)


def _groups(cores, roam_m, reach_us):
    """Return the core fixes cut wherever no link leaps over."""
    groups = []
    for i, core in enumerate(cores):
        is_leapt_over = any(
            _are_in_reach(a, b, reach_us) and _near(a.ping, b.ping, roam_m) for a in cores[:i] for b in cores[i:]
        )
        if not is_leapt_over:
            groups.append([])
        groups[-1].append(core)
    return groups


def _pings_of_groups(run, fixes, groups, roam_m, reach_us):
    """Return the pings of each group, as indices of the run."""
    found = []
    last_at = -math.inf
    for i, group in enumerate(groups):
        until_at = groups[i + 1][0].ping.at if i + 1 < len(groups) else math.inf
        mine = []
        for k, ping in enumerate(run):
            fix = fixes[ping.at // SLOT_US]
            if last_at < ping.at < until_at and any(
                _are_in_reach(fix, core, reach_us) and _near(ping, core.ping, roam_m) for core in group
            ):
                mine.append(k)
        last_at = run[mine[-1]].at
        found.append(mine)
    return found


def _centre(pings):
    """Return the mean (lon, lat), beyond 89 degrees of latitude that of the unit vectors."""
    lon0, lat0 = pings[0].lon, pings[0].lat
    if abs(lat0) <= 89:
        lon = statistics.fmean(lon0 + (p.lon - lon0 + 180) % 360 - 180 for p in pings)
        return (lon + 180) % 360 - 180, statistics.fmean(p.lat for p in pings)
    x, y, z = (
        statistics.fmean(f(math.radians(p.lon), math.radians(p.lat)) for p in pings)
        for f in (
            lambda lam, phi: math.cos(phi) * math.cos(lam),
            lambda lam, phi: math.cos(phi) * math.sin(lam),
            lambda lam, phi: math.sin(phi),
        )
    )
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))


def naive_dense_stays(rows, *, roam_m, dwell_s, gap_s, reach_s, density_share):
    """Return one dict per stay, from rows (device_id, tracked_at in µs, lon, lat) in degrees, in order."""
    reach_us = round(reach_s * 1e6)
    stays = []
    for device_id in sorted({row[0] for row in rows}):
        pings = [Ping(*row[1:]) for row in rows if row[0] == device_id]
        for run in _runs(pings, gap_s * 1e6):
            fixes = _fixes(run, reach_us)
            cores = [f for f in fixes.values() if _is_core(f, fixes.values(), roam_m, reach_us, density_share)]
            groups = _groups(cores, roam_m, reach_us)
            for mine in _pings_of_groups(run, fixes, groups, roam_m, reach_us):
                started_at, finished_at = run[mine[0]].at, run[mine[-1]].at
                if finished_at - started_at < dwell_s * 1e6:
                    continue
                lon, lat = _centre([run[k] for k in mine])
                spanned = run[mine[0] : mine[-1] + 1]
                silences = [b.at - a.at for a, b in itertools.pairwise(spanned)]
                stays.append(
                    {
                        "device_id": device_id,
                        "started_at": started_at,
                        "finished_at": finished_at,
                        "lon": lon,
                        "lat": lat,
                        "n_pings": len(mine),
                        "max_gap_s": max(silences, default=0) / 1e6,
                        "anchor_lat": run[mine[0]].lat,
                    }
                )
    return stays
