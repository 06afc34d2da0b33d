"""Slow, obvious twins of `pipeline.kernels.place_roles`: second by second, window by window."""

import math
from collections import defaultdict

DAY_S = 86_400


def naive_place_days(visits, night, working):
    """Return {(device, day, place): (seconds, nightly, working)} of (device, place, start, end) visits."""
    found = {}
    for device, place, started_s, finished_s in visits:
        found.setdefault((device, started_s // DAY_S, place), [0, 0, 0])
        for second in range(started_s, finished_s):
            day, clock = second // DAY_S, second % DAY_S
            sums = found.setdefault((device, day, place), [0, 0, 0])
            sums[0] += 1
            sums[1] += is_within(clock, night)
            sums[2] += is_within(clock, working) and (day + 3) % 7 < 5
    return {key: tuple(sums) for key, sums in found.items()}


def is_within(clock, hours):
    start, stop = hours
    return start <= clock < stop if start <= stop else clock >= start or clock < stop


def naive_numbers(days, first_day, last_day, place):
    """Return the five numbers of a place from one device's {(day, place): seconds} within a window."""
    inside = {key: sums for key, sums in days.items() if first_day <= key[0] <= last_day}
    total_days = len({day for day, _ in inside})
    total = [sum(sums[k] for sums in inside.values()) / 3600 for k in range(3)]
    own_days = len([day for day, where in inside if where == place])
    own = [sum(sums[k] for (_, where), sums in inside.items() if where == place) / 3600 for k in range(3)]
    return (
        own_days / (total_days + 2),
        own[1] / (total[1] + 3),
        own[2] / (total[2] + 1),
        own[2] / (own[0] + 1),
        math.log(1 + own[0]),
    )


def naive_probabilities(weights_home, weights_work, numbers):
    """Return the probabilities of home and work by the definition of a multinomial logit."""
    odds = [
        math.exp(weights[0] + sum(w * x for w, x in zip(weights[1:], numbers, strict=True)))
        for weights in (weights_home, weights_work)
    ]
    return tuple(value / (1 + sum(odds)) for value in odds)


def naive_weigh(days, windows, weights_home, weights_work, min_days, least):
    """Return {(device, window, place): (home, work)} of places with a probability of at least `least`."""
    by_device = defaultdict(dict)
    for (device, day, place), sums in days.items():
        by_device[device][day, place] = sums
    found = {}
    for device, own in by_device.items():
        seen = [day for day, _ in own]
        for window in range(windows.n):
            opened = windows.first + window * windows.step
            begins = min(max((min(seen) - windows.first) // windows.step, 0), windows.n)
            ends = (max(seen) - windows.first) // windows.step
            if not begins <= window <= ends:
                continue
            first_day, last_day = opened - windows.back, opened + windows.step - 1 + windows.ahead
            for place in {where for _, where in own}:
                n_days = len([1 for day, where in own if where == place and first_day <= day <= last_day])
                if n_days < min_days:
                    continue
                numbers = naive_numbers(own, first_day, last_day, place)
                p = naive_probabilities(weights_home, weights_work, numbers)
                if max(p) >= least:
                    found[device, window, place] = p
    return found
