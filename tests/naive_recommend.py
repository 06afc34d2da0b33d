"""Place recommendation the slow and obvious way, on plain lists."""

import math

import numpy as np

EARTH_RADIUS_M = 6_371_000.0


def first_new_places(training, held_out, catalogue):
    """{person: first place of the hold-out that is in the catalogue and not visited in training}.

    Rows are (person, place, time).
    """
    found = {}
    for person, place, _ in sorted(held_out, key=lambda row: (row[2], row[1])):
        visited = {p for who, p, _ in training if who == person}
        if place in catalogue and place not in visited and person not in found:
            found[person] = place
    return found


def recommend(scores, popularity, allowed, n_listed):
    """Allowed places of the highest scores, of equals the more popular, of those the lower number."""
    order = sorted(allowed, key=lambda place: (-scores[place], -popularity[place], place))
    return order[:n_listed]


def rank(listed, target):
    """From 1; 0 where it is not listed."""
    return listed.index(target) + 1 if target in listed else 0


def hit_rate(ranks, n_hits):
    """Share of people whose target is among the first."""
    return sum(1 for r in ranks if 0 < r <= n_hits) / len(ranks)


def mean_reciprocal_rank(ranks):
    """Mean of 1 / rank, 0 where it is not listed."""
    return sum(1 / r if r else 0 for r in ranks) / len(ranks)


def coverage(lists, catalogue):
    """Share of the catalogue in any list."""
    return len(set().union(*lists) & set(catalogue)) / len(catalogue)


def popularity(training, n_places, since):
    """People at each place since a time."""
    return [len({who for who, p, t in training if p == place and t >= since}) for place in range(n_places)]


def item_knn_scores(training, person, n_places):
    """Sum of cosines of co-visits to the person's places; of a place to itself 1."""
    visitors = [{who for who, p, _ in training if p == place} for place in range(n_places)]

    def cosine(a, b):
        both = len(visitors[a] & visitors[b])
        return both / math.sqrt(len(visitors[a]) * len(visitors[b])) if both else 0.0

    visited = {p for who, p, _ in training if who == person}
    return [sum(cosine(place, other) for other in visited) for place in range(n_places)]


def distance_m(one, other):
    """Great-circle distance of (lon, lat) in degrees, by the haversine formula."""
    (lon1, lat1), (lon2, lat2) = ([math.radians(value) for value in at] for at in (one, other))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(h))


def nearby_scores(training, person, positions, nearby_m):
    """Sum of exp(-distance / nearby_m) over the person's check-ins."""
    visits = [p for who, p, _ in training if who == person]
    return [sum(math.exp(-distance_m(at, positions[p]) / nearby_m) for p in visits) for at in positions]


def resampled_interval(values, n_resamples, confidence):
    """(mean, low, high) of values[seed][person]: people and seeds drawn anew each time, with the evaluation's draws."""
    random = np.random.default_rng([0, 2])
    n_seeds, n_people = len(values), len(values[0])
    people = random.integers(n_people, size=(n_resamples, n_people)).tolist()
    seeds = random.integers(n_seeds, size=(n_resamples, n_seeds)).tolist()
    means = [
        sum(values[s][p] for s in of_seeds for p in of_people) / (n_seeds * n_people)
        for of_people, of_seeds in zip(people, seeds, strict=True)
    ]
    tail = (1 - confidence) / 2
    mean = sum(map(sum, values)) / (n_seeds * n_people)
    return mean, *np.quantile(means, [tail, 1 - tail]).tolist()
