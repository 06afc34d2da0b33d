"""Slow, obvious twins of the kernels of entropy and capacity: plain loops over the definitions."""

import math


def naive_entropy_bits(places, weights):
    """Entropy of the places of one group, each row with its weight; NaN where nothing weighs anything."""
    total = sum(weights)
    if total == 0:
        return math.nan
    entropy = 0.0
    for place in set(places):
        share = sum(w for p, w in zip(places, weights, strict=True) if p == place) / total
        if share > 0:
            entropy += share * math.log2(1 / share)
    return entropy


def naive_familiar(visits, week, window_weeks, min_visits, min_dwell_us, is_mean_of_seen_weeks):
    """The set of familiar locations in a week, from one device's visits (week, location, dwell_us)."""
    inside = [v for v in visits if week - window_weeks < v[0] <= week]
    n_weeks = len({v[0] for v in inside}) if is_mean_of_seen_weeks else window_weeks
    familiar = set()
    for place in {v[1] for v in inside}:
        dwells = [v[2] for v in inside if v[1] == place]
        if len(dwells) >= min_visits and sum(dwells) >= min_dwell_us * n_weeks:
            familiar.add(place)
    return familiar


def naive_capacity(visits, *rule):
    """Rows (week, n_familiar, n_added, n_dropped) of one device, for every week with a visit."""
    rows, before = [], set()
    for week in sorted({v[0] for v in visits}):
        now = naive_familiar(visits, week, *rule)
        rows.append((week, len(now), len(now - before), len(before - now)))
        before = now
    return rows
