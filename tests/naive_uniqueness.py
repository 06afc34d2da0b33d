"""Who is alone with a few points, the slow and obvious way: every device against every other."""

from itertools import combinations


def n_with_all(points, known):
    """How many devices have all known points; `points` is {device: set of points}."""
    return sum(set(known) <= own for own in points.values())


def naive_points_to_be_alone(points, orders, max_points):
    """{device: how many of its points, taken in its order, nobody else has all of; 0: never}."""
    found = {}
    for device, order in orders.items():
        needed = [k for k in range(1, min(max_points, len(order)) + 1) if n_with_all(points, order[:k]) == 1]
        found[device] = needed[0] if needed else 0
    return found


def naive_fewest(points, n_known):
    """{device: devices that have all of those of its points that fewest have}; 0 without points."""
    found = {}
    for device, own in points.items():
        choices = combinations(sorted(own), min(n_known, len(own)))
        found[device] = min(n_with_all(points, known) for known in choices) if own else 0
    return found


def naive_pairs(homes_and_works, min_devices):
    """(devices, alone, in pairs of few) of {device: (home, work)}."""
    pairs = list(homes_and_works.values())
    sizes = [pairs.count(pair) for pair in pairs]
    return len(pairs), sizes.count(1), sum(size < min_devices for size in sizes)
