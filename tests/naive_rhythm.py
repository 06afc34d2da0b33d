"""Rhythms of days and weeks, the slow and obvious way: visit by visit, hour by hour."""

from datetime import datetime, time, timedelta
from itertools import groupby, pairwise, permutations

MIDNIGHT = time()


def naive_days(visits):
    """{(device, date): locations in order of time, repeats merged}; visits as `day_rows.naive_visits` makes them."""
    days = {}
    for visit in sorted(visits, key=lambda v: (v["device"], v["start"])):
        day = visit["start"].date()
        while True:
            days.setdefault((visit["device"], day), []).append(visit["location"])
            day += timedelta(days=1)
            if visit["finish"] <= datetime.combine(day, MIDNIGHT):
                break
    return {key: [place for place, _ in groupby(places)] for key, places in days.items()}


def naive_motif(places, max_nodes):
    """(nodes, edges, motif, is closed) of the places of a day."""
    nodes, moves = sorted(set(places)), set(pairwise(places))
    motif = naive_code(nodes, moves) if len(nodes) <= max_nodes else "other"
    return len(nodes), len(moves), motif, places[0] == places[-1]


def naive_code(nodes, moves):
    """The matrix, as text, that comes first in the alphabet of all orders of the nodes."""
    return min(
        "/".join("".join("1" if (a, b) in moves else "0" for b in order) for a in order)
        for order in permutations(nodes)
    )


def naive_motif_shares(days, min_devices):
    """{motif: (devices, days, share)} of [(device, motif)], one for each device-day."""
    devices = {}
    for device, motif in days:
        devices.setdefault(motif, set()).add(device)
    order = sorted(devices, key=lambda motif: (len(devices[motif]), motif))
    rare = [motif for motif in order if len(devices[motif]) < min_devices]
    if rare and len(set().union(*(devices[m] for m in rare))) < min_devices:
        rare = order[: len(rare) + 1]
    found = {}
    for name in {"rare" if motif in rare else motif for motif in order}:
        members = rare if name == "rare" else [name]
        n_days = sum(motif in members for _, motif in days)
        found[name] = (len(set().union(*(devices[m] for m in members))), n_days, n_days / len(days))
    return found


def naive_windows(day, kind, study):
    """First dates of the windows that hold a local date: of all kinds but the calendar's month."""
    if kind == "study":
        return [study.start]
    if kind == "week":
        return [day - timedelta(days=day.weekday())]
    assert kind == "sliding"
    starts = [study.start + timedelta(days=7 * k) for k in range(60)]
    return [first for first in starts if first <= day < first + timedelta(days=28) <= study.end + timedelta(days=1)]


def naive_hours(visits):
    """{(device, local hour): {location: seconds}}, hour by hour."""
    hours = {}
    for visit in visits:
        at = visit["start"]
        while at < visit["finish"]:
            hour = at.replace(minute=0, second=0, microsecond=0)
            until = min(visit["finish"], hour + timedelta(hours=1))
            spent = hours.setdefault((visit["device"], hour), {})
            spent[visit["location"]] = spent.get(visit["location"], 0.0) + (until - at).total_seconds()
            at = until
    return hours


def naive_regularity(visits, homes, kinds, study, min_weeks):
    """{(device, kind, first date): (hours, hours of the week, regularity, share at home)}, of {device: home}."""
    windows = {}
    for (device, hour), spent in naive_hours(visits).items():
        for kind in kinds:
            for first in naive_windows(hour.date(), kind, study):
                windows.setdefault((device, kind, first), []).append((hour, spent))
    found = {}
    for key, hours in windows.items():
        places = {}
        for hour, spent in hours:
            best = min(spent, key=lambda place: (-spent[place], place))
            places.setdefault((hour.weekday(), hour.hour), []).append(best)
        shares = [max(map(seen.count, seen)) / len(seen) for seen in places.values() if len(seen) >= min_weeks]
        total = sum(sum(spent.values()) for _, spent in hours)
        home = homes.get(key[0])
        at_home = sum(spent.get(home, 0.0) for _, spent in hours) / total if home is not None else None
        found[key] = (len(hours), len(shares), sum(shares) / len(shares) if shares else None, at_home)
    return found


def naive_commutes(trips, ends, kinds, study, max_s):
    """{(device, kind, first date): (trips, durations to work, to home)}; ends: {device: (home, work)}."""
    found = {}
    for device, left, arrived, origin, destination, _ in trips:
        for kind in kinds if device in ends else ():
            for first in naive_windows(arrived.date(), kind, study):
                row = found.setdefault((device, kind, first), [0, [], []])
                row[0] += 1
                duration_s = (arrived - left).total_seconds()
                home, work = ends[device]
                if duration_s <= max_s and origin != destination and {origin, destination} == {home, work}:
                    row[1 if destination == work else 2].append(duration_s)
    return {key: (n, sorted(to_work), sorted(to_home)) for key, (n, to_work, to_home) in found.items()}
