"""Trips and what is made of them, the slow and obvious way: visit by visit."""

from tests.naive_days import distance_m


def naive_trips(visits):
    """(device, start, finish, origin, destination, metres) of dicts as `day_rows.naive_visits` makes them."""
    found = []
    for device in sorted({visit["device"] for visit in visits}):
        own = sorted((v for v in visits if v["device"] == device), key=lambda v: v["start"])
        for k in range(1, len(own)):
            left, arrived = own[k - 1], own[k]
            way_m = distance_m(left["position"], arrived["position"])
            found.append((device, left["finish"], arrived["start"], left["location"], arrived["location"], way_m))
    return found
