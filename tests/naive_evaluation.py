"""Slow, obvious twins of the evaluation: plain loops, written from the definitions."""

import itertools


def naive_is_inside(pings, stays):
    """For each (device, time): does any (device, start, finish) hold it, both ends included?"""
    return [any(d == device and start <= at <= finish for d, start, finish in stays) for device, at in pings]


def naive_thin(pings, every):
    """Pings (device, time), sorted: the first of a device, then each `every` or more after the last kept."""
    last, kept = {}, []
    for device, at in pings:
        is_kept = device not in last or at - last[device] >= every
        kept.append(is_kept)
        if is_kept:
            last[device] = at
    return kept


def naive_join(stays):
    """Stays (device, start, finish), sorted, each begun when the one before finishes joined to it."""
    joined, before = [], None
    for stay in stays:
        if before is not None and before[0] == stay[0] and before[2] == stay[1]:
            joined[-1] = (*joined[-1][:2], stay[2])
        else:
            joined.append(stay)
        before = stay
    return joined


def naive_overlaps(left, right, least):
    """Pairs (i, j, shared) of stays (device, start, finish) sharing `least`, or all of the shorter one."""
    pairs = []
    for (i, (d, a, b)), (j, (e, c, f)) in itertools.product(enumerate(left), enumerate(right)):
        shared = min(b, f) - max(a, c)
        if d == e and shared >= 0 and shared >= min(least, b - a, f - c):
            pairs.append((i, j, shared))
    return pairs


def naive_stay_counts(true, found, least, min_length):
    """Counts of true stays found, missed, split, of found ones false, merged, and the one-to-one pairs."""
    asked = [stay for stay in true if stay[2] - stay[1] >= min_length]
    of_true = [[j for i, j, _ in naive_overlaps([stay], found, least)] for stay in asked]
    of_found = [[i for i, j, _ in naive_overlaps(asked, [stay], least)] for stay in found]
    return {
        "n_true": len(asked),
        "n_found": sum(len(js) >= 1 for js in of_true),
        "n_missed": sum(len(js) == 0 for js in of_true),
        "n_split": sum(len(js) >= 2 for js in of_true),
        "n_detected": len(found),
        "n_false": sum(not naive_overlaps(true, [stay], least) for stay in found),
        "n_merged": sum(len(i_s) >= 2 for i_s in of_found),
        "n_matched": sum(len(js) == 1 and len(of_found[js[0]]) == 1 for js in of_true),
    }


def naive_minutes_of_stays(spans, true, found):
    """Per span (device, start, finish; whole seconds): [hit, miss, false stop, true move] over its whole minutes."""
    counts = []
    for device, start, finish in spans:
        cells = [0, 0, 0, 0]
        for minute in range(start // 60, finish // 60 + 1):
            seconds = range(60 * minute, 60 * minute + 60)
            if seconds[0] < start or seconds[-1] + 1 > finish:
                continue
            is_stop, is_found = (
                sum(any(d == device and a <= second < b for d, a, b in stays) for second in seconds) >= 30
                for stays in (true, found)
            )
            cells[2 * (not is_stop) + (not is_found)] += 1
        counts.append(cells)
    return counts


def naive_minutes_of_pings(pings, n_devices):
    """Per device: [hit, miss, false stop, true move] of minutes, from pings (device, second, is stop, is found)."""
    minutes = {}
    for device, at, is_stop, is_found in pings:
        minutes.setdefault((device, at // 60), []).append((is_stop, is_found))
    counts = [[0, 0, 0, 0] for _ in range(n_devices)]
    for (device, _), labels in minutes.items():
        is_stop, is_found = (sum(label[k] for label in labels) >= len(labels) / 2 for k in (0, 1))
        counts[device][2 * (not is_stop) + (not is_found)] += 1
    return counts


def naive_runs(pings, gap):
    """True stays (device, start, finish, place) from pings (device, time, place), sorted; place < -1: unknown."""
    stays, before = [], None
    for device, at, place in pings:
        if place < -1:
            continue
        goes_on = before is not None and before[0] == device and before[2] == place and at - before[1] <= gap
        if place >= 0 and goes_on:
            stays[-1] = (*stays[-1][:2], at, place)
        elif place >= 0:
            stays.append((device, at, at, place))
        before = (device, at, place)
    return stays


def naive_adjusted_rand(true, found):
    """The index from every pair of items: (index − expected) / (maximum − expected)."""
    pairs = list(itertools.combinations(range(len(true)), 2))
    in_true = sum(true[i] == true[j] for i, j in pairs)
    in_found = sum(found[i] == found[j] for i, j in pairs)
    together = sum(true[i] == true[j] and found[i] == found[j] for i, j in pairs)
    expected, most = in_true * in_found / len(pairs), (in_true + in_found) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)
