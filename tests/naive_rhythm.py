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
