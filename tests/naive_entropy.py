"""Slow, obvious twins of the kernels of entropy, with and without order, and capacity: loops over the definitions."""

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


def naive_piece(sequence, i, variant):
    """Length of the shortest piece that begins at i and is new there, as one of the three variants counts it."""
    n, length = len(sequence), 1
    while i + length <= n and is_met(sequence, i, sequence[i : i + length], variant == "fastmob"):
        length += 1
    if variant == "fastmob":
        return min(length, n - i)
    # scikit-mobility never looks whether the piece that ends with the sequence was met.
    is_taken_for_met = variant == "skmob" and i > 0 and i + length == n
    return length + is_taken_for_met


def is_met(sequence, i, piece, may_overlap):
    """Whether a piece occurs wholly before i, or, where it may overlap itself, begins before i."""
    starts = range(i if may_overlap else i - len(piece) + 1)
    return any(sequence[j : j + len(piece)] == piece for j in starts)


def naive_entropy_rate(sequence, variant="ours"):
    """n log2 n over the sum of the lengths of the shortest new pieces; NaN of fewer than two symbols."""
    n = len(sequence)
    if n < 2:
        return math.nan
    return n * math.log2(n) / sum(naive_piece(sequence, i, variant) for i in range(n))


def naive_predictability(entropy_bits, n_options):
    """The largest p of a fine grid whose Fano bound is at least the entropy; right to 1e-5."""
    if n_options <= 1 or entropy_bits <= 0:
        return 1.0
    n_steps = 100_000
    for step in range(n_steps, 0, -1):
        p = step / n_steps
        if p < 1 / n_options:
            break
        coin = 0.0 if p == 1 else -p * math.log2(p) - (1 - p) * math.log2(1 - p)
        if coin + (1 - p) * math.log2(n_options - 1) >= entropy_bits:
            return p
    return 1 / n_options
