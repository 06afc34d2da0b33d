"""Slow, obvious twins of the measures of range: distances, frequencies, k-radius, window by window."""

import itertools
import statistics
from collections import Counter, defaultdict
from datetime import timedelta

from tests.naive import naive_great_circle_m, naive_radius_of_gyration
from tests.naive_days import distance_m


def naive_jumps_m(positions):
    """Distances of consecutive positions (lon, lat)."""
    return [naive_great_circle_m(*a, *b) for a, b in itertools.pairwise(positions)]


def naive_largest_m(positions):
    """Largest distance of any two positions; 0 of one."""
    return max((naive_great_circle_m(*a, *b) for a, b in itertools.combinations(positions, 2)), default=0.0)


def naive_windows(kind, first, last, length, step):
    """(first date, last date) of the windows of a study, those of weeks from a Monday on."""
    if kind == "study":
        return [(first, last)]
    if kind == "week":
        length = step = 7
    starts = [first + timedelta(days=k) for k in range(0, (last - first).days + 1, step)]
    return [(s, s + timedelta(days=length - 1)) for s in starts if s + timedelta(days=length - 1) <= last]


def naive_groups(visits, windows):
    """(device, first date) → the window's visits in order of time, each with the visit before it or None."""
    groups = defaultdict(list)
    for device in {v["device"] for v in visits}:
        own = sorted((v for v in visits if v["device"] == device), key=lambda v: v["start"])
        for before, visit in zip([None, *own], own, strict=False):
            for first, last in windows:
                if first <= visit["start"].date() <= last:
                    groups[device, first].append((before, visit))
    return groups


def dwell_s(visit):
    return (visit["finish"] - visit["start"]).total_seconds()


def mean(values, weights=None):
    """Mean of values, None of none or where nothing weighs anything."""
    weights = [1] * len(values) if weights is None else weights
    if sum(weights) == 0:
        return None
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def naive_distances(visits, windows, homes):
    """(device, first date) → the columns of `distances` from n_visits on; `homes` gives the position by device."""
    found = {}
    for key, pairs in naive_groups(visits, windows).items():
        jumps = [distance_m(b["position"], v["position"]) for b, v in pairs if b]
        waits = [(v["start"] - b["start"]).total_seconds() for b, v in pairs if b]
        own = [v for _, v in pairs]
        home = homes.get(key[0])
        away = [distance_m(v["position"], home) for v in own] if home else []
        places = {v["location"]: v["position"] for v in own}.values()
        found[key] = (
            len(own), len(places), len(jumps), sum(jumps),
            mean(jumps), statistics.median(jumps) if jumps else None, max(jumps, default=None),
            mean(waits), statistics.median(waits) if waits else None,
            max((distance_m(a, b) for a, b in itertools.combinations(places, 2)), default=0.0),
            mean(away), mean(away, [dwell_s(v) for v in own][: len(away)]), max(away, default=None),
        )  # fmt: skip
    return found


def naive_frequencies(visits, windows):
    """(device, first date, location) → the columns of `visit_frequencies` from n_visits on."""
    found = {}
    for key, pairs in naive_groups(visits, windows).items():
        own = [v for _, v in pairs]
        by_place = defaultdict(list)
        for visit in own:
            by_place[visit["location"]].append(visit)
        often = sorted(by_place, key=lambda p: (-len(by_place[p]), by_place[p][0]["start"]))
        recent = sorted(by_place, key=lambda p: by_place[p][-1]["start"], reverse=True)
        for place, there in by_place.items():
            returns = [(b["start"] - a["start"]).total_seconds() for a, b in itertools.pairwise(there)]
            spent, total = (sum(map(dwell_s, some)) for some in (there, own))
            found[(*key, place)] = (
                len(there), spent, len(there) / len(own), spent / total if total else None,
                1 + often.index(place), 1 + recent.index(place), statistics.median(returns) if returns else None,
            )  # fmt: skip
    return found


def naive_k_gyration(visits, windows, k):
    """(device, first date) → k-radius by visits, k-radius by dwell."""
    found = {}
    for key, pairs in naive_groups(visits, windows).items():
        own = [v for _, v in pairs]
        radii = []
        for weights in ([1.0] * len(own), [dwell_s(v) for v in own]):
            total = Counter()
            for visit, weight in zip(own, weights, strict=True):
                total[visit["location"]] += weight
            # Counter keeps the order of first visits, and sorting keeps the order of equals.
            main = sorted(total, key=lambda p: -total[p])[:k]
            rows = [(*v["position"], w) for v, w in zip(own, weights, strict=True) if v["location"] in main]
            lons, lats, weights_of_main = map(list, zip(*rows, strict=True))
            radii.append(naive_radius_of_gyration(lons, lats, weights_of_main, "weighted", "sphere", None))
        found[key] = tuple(radii)
    return found
