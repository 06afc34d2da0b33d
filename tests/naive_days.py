"""Days of devices and their sums by region the slow and obvious way: minute by minute, row by row."""

import math
from collections import defaultdict
from datetime import datetime, timedelta
from statistics import fmean

EARTH_RADIUS_M = 6_371_000.0


def distance_m(a, b):
    """Great-circle distance of two (lon, lat) in degrees, by the haversine formula."""
    (lon1, lat1), (lon2, lat2) = (tuple(map(math.radians, p)) for p in (a, b))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(h))


def seconds_by_day(visit):
    """{local date: seconds} of a visit (dict of local datetimes `start`, `finish`), midnight by midnight."""
    found, at = {visit["start"].date(): 0.0}, visit["start"]
    while at < visit["finish"]:
        midnight = datetime.combine(at.date() + timedelta(days=1), datetime.min.time())
        until = min(midnight, visit["finish"])
        found[at.date()] = found.get(at.date(), 0.0) + (until - at).total_seconds()
        at = until
    return found


def naive_kind(visit, roles):
    """Kind of place of a visit; `roles` are (device, location, first date, last date, role) of moving spans."""
    found = {
        role
        for device, location, first, last, role in roles
        if (device, location) == (visit["device"], visit["location"]) and first <= visit["start"].date() <= last
    }
    return "home" if "home" in found else "work" if "work" in found else "venue" if visit["category"] else "other"


def naive_venues(visits, roles):
    """{(device, date, kind, category): [visits, seconds]}."""
    found = defaultdict(lambda: [0, 0.0])
    for visit in visits:
        kind = naive_kind(visit, roles)
        for day, seconds in seconds_by_day(visit).items():
            row = found[visit["device"], day, kind, visit["category"] if kind == "venue" else ""]
            row[0] += day == visit["start"].date()
            row[1] += seconds
    return {key: tuple(row) for key, row in found.items()}


def naive_device_days(visits, days):
    """{(device, date): (visits, places, seconds, metres, seconds by place)} of observed `days` (device, date)."""
    found = {key: [0, set(), 0.0, 0.0, defaultdict(float)] for key in days}
    last = {}
    for visit in sorted(visits, key=lambda v: (v["device"], v["start"])):
        before = last.get(visit["device"])
        last[visit["device"]] = visit
        row = found.get((visit["device"], visit["start"].date()))
        if row:
            row[0] += 1
            row[3] += distance_m(before["position"], visit["position"]) if before else 0.0
        for day, seconds in seconds_by_day(visit).items():
            if row := found.get((visit["device"], day)):
                row[1].add(visit["location"])
                row[2] += seconds
                row[4][visit["position"]] += seconds
    return {key: (n, len(places), seconds, metres, by) for key, (n, places, seconds, metres, by) in found.items()}


def naive_gyration_m(seconds_by_position):
    """Root mean square distance of places near the equator to their centre, each weighing its seconds; None: none."""
    total = sum(seconds_by_position.values())
    if not total:
        return None
    lon = sum(p[0] * s for p, s in seconds_by_position.items()) / total
    lat = sum(p[1] * s for p, s in seconds_by_position.items()) / total
    return math.sqrt(sum(distance_m(p, (lon, lat)) ** 2 * s for p, s in seconds_by_position.items()) / total)


def naive_region_day(values, homes, groups, digits, is_of_everybody=lambda measure: False):
    """{(region, axis, group, date, measure): (devices, total)}.

    `values` {measure: {(device, date): number or None}}, `homes` {device: area or None}, `groups` {(axis, group):
    areas}. Measures of `is_of_everybody` have no groups but all.
    """
    found = defaultdict(list)
    for measure, by_day in values.items():
        for (device, day), value in by_day.items():
            area = homes.get(device)
            named = {("all", "all"): None} | ({} if is_of_everybody(measure) else groups)
            for (axis, group), areas in named.items():
                if value is not None and (areas is None or area in areas):
                    for region in {"all"} | ({area[:digits]} if area and digits else set()):
                        found[region, axis, group, day, measure].append(value)
    return {key: (len(mine), fmean(mine) * len(mine)) for key, mine in found.items()}
