"""Displacement, flows by radiation and by gravity, and moves of the model of exploration, the slow and obvious way."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
from scipy.integrate import quad

from tests.naive_days import distance_m


def naive_displacement(visits, lag_hours):
    """(devices, pairs, mean over devices of the mean square in km²) of dicts as `day_rows.naive_visits` makes them."""
    means, n_pairs = [], 0
    for device in sorted({visit["device"] for visit in visits}):
        own = [visit for visit in visits if visit["device"] == device]
        at, last = min(v["start"] for v in own).replace(minute=0, second=0), max(v["finish"] for v in own)
        squares = []
        while at <= last:
            here, there = _where(own, at), _where(own, at + timedelta(hours=lag_hours))
            if here is not None and there is not None:
                squares.append((distance_m(here, there) / 1000) ** 2)
            at += timedelta(hours=1)
        if squares:
            means.append(sum(squares) / len(squares))
            n_pairs += len(squares)
    return len(means), n_pairs, sum(means) / len(means) if means else None


def _where(visits, at):
    return next((visit["position"] for visit in visits if visit["start"] <= at < visit["finish"]), None)


def naive_radiation(n_trips, distance_km):
    """Trips of each origin by the radiation model, pair by pair."""
    n = len(n_trips)
    reached = [sum(n_trips[i][j] for i in range(n) if i != j) for j in range(n)]
    expected = np.zeros((n, n))
    for i in range(n):
        weights = {}
        for j in range(n):
            if i != j:
                nearer = sum(
                    reached[k] for k in range(n) if k not in (i, j) and (distance_km[i][k], k) < (distance_km[i][j], j)
                )
                m, to = reached[i], reached[j]
                weights[j] = m * to / ((m + nearer) * (m + to + nearer))
        for j, weight in weights.items():
            expected[i, j] = sum(n_trips[i][k] for k in range(n) if k != i) * weight / sum(weights.values())
    return expected


def explore(rng, n_moves, rho, gamma):
    """Places of a device that moves to a new place with probability rho S^-gamma, else to one it has been to."""
    places, visits = [0], [0]
    for _ in range(n_moves):
        if rng.random() < rho * len(places) ** -gamma:
            places.append(len(places))
            visits.append(places[-1])
        else:
            visits.append(rng.choice([v for v in visits if v != visits[-1]] or [len(places)]))
            if visits[-1] == len(places):
                places.append(visits[-1])
    return visits


def naive_log_likelihood(n, edges, exponent, cutoff):
    """Log likelihood of counts by bin under x^-exponent exp(-x / cutoff), each bin integrated."""
    mass = [quad(lambda x: x**-exponent * np.exp(-x / cutoff), low, high)[0] for low, high in pairwise(edges)]
    return sum(count * np.log(part / sum(mass)) for count, part in zip(n, mass, strict=True) if count)
