"""Slow, obvious twins of what an epidemic adds to the artificial city."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.simulation import random_streams as streams
from pipeline.simulation.random_streams import open_stream, uniform
from pipeline.simulation.schedules import ERRAND, trip_s

KIND = {"home": "home", "work": "work", "errand": "venue"}


def naive_contacts(zone, stays, home_of):
    """Every pair of rows of true stays, cut by local dates.

    {(a, b, date, kind, place): (sum of seconds, longest, whether the homes of the two are one)}
    """
    found = {}
    rows = list(stays.itertuples(index=False))
    for i, one in enumerate(rows):
        for other in rows[i + 1 :]:
            if one.place_id != other.place_id or one.device_id == other.device_id:
                continue
            start, end = max(one.started_at, other.started_at), min(one.finished_at, other.finished_at)
            pair = tuple(sorted((one.device_id, other.device_id)))
            while start < end:
                day = start.tz_convert(zone).date()
                following = day + timedelta(days=1)
                midnight = datetime(following.year, following.month, following.day, tzinfo=ZoneInfo(zone))
                until = min(end, midnight)
                key = (*pair, day, KIND[one.purpose], one.place_id)
                found.setdefault(key, []).append((until - start).total_seconds())
                start = start + (until - start)
    return {
        key: (sum(seconds), max(seconds), home_of[key[0]] == home_of[key[1]]) for key, seconds in found.items()
    }  # fmt: skip


def naive_kept_stays(seed, person, rules, eta_of, stays):
    """The stays (started, finished, place, purpose, x, y) of one person that are left, of those who ignore everything.

    `eta_of`: second → log of the share of outings that are left.
    """
    state = np.empty(1, np.uint64)
    open_stream(state, seed, person, streams.KEPT_OUTINGS)
    left = [list(stays[0])]
    rest = [list(stay) for stay in stays[1:]]
    while rest:
        errands = []
        while rest[0][3] == ERRAND:
            errands.append(rest.pop(0))
        anchor = rest.pop(0)
        if not errands:
            left.append(anchor)
        elif uniform(state) < np.exp(eta_of(errands[0][0])):
            left += [*errands, anchor]
        elif anchor[2] == left[-1][2]:
            left[-1][1] = anchor[1]
        else:
            distance_m = np.hypot(anchor[4] - left[-1][4], anchor[5] - left[-1][5])
            direct_s = left[-1][1] + int(np.ceil(trip_s(state, rules, distance_m)))
            left.append([min(direct_s, anchor[0]), *anchor[1:]])
    return [tuple(stay) for stay in left]


def naive_homes(sizes):
    """The number of the home of each person, homes filled one after the other."""
    homes, first = [], 0
    for size in sizes:
        homes += [first] * size
        first += size
    return homes


def naive_stringency(orders, day):
    """Stringency of the latest order given by a day, of one county's (date or None, stringency) in order of date."""
    level = 0.0
    for ordered_on, stringency in orders:
        if ordered_on is not None and ordered_on <= day:
            level = stringency
    return level
