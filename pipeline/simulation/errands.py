"""Which errand comes next: exploration and preferential return, one person at a time.

With chance ``rho * known^-gamma`` a place never visited before, chosen by popularity and distance
from where the person is; else a known place in proportion to the number of visits. The scheme is
that of Song et al. 2010; that homes and workplaces are left out of the returns, the distance law
and the values are ours.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation.city import pick_by_distance
from pipeline.simulation.random_streams import uniform

Integers = NDArray[np.int64]
_TRIES = 100  # draws of a place before a person who knows nearly all gives up finding a new one


class Rules(NamedTuple):
    """The habits of CityParams as plain numbers for kernels; same names, same units."""

    daily_jitter_s: float
    explore_rho: float
    explore_gamma: float
    errand_decay_m: float
    errand_exponent: float
    errand_log_spread: float
    errand_min_s: float
    errand_max_s: float
    lunch_share: float
    after_work_share: float
    evening_share: float
    outings_per_free_day: float
    chain_share: float
    walk_below_m: float
    drive_above_m: float
    walk_speed_m_per_s: float
    bus_speed_m_per_s: float
    drive_speed_m_per_s: float
    trip_overhead_s: float
    trip_log_spread: float


class Life(NamedTuple):
    """What one person carries through the study: random state, position in the diary, known places."""

    state: NDArray[np.uint64]
    next_row: Integers  # length 1: row of the stay now open
    n_known: Integers  # length 1
    known: Integers  # errand places visited so far
    visits: Integers  # times each was visited


@kernel
def known_index(life, place):
    """Return the index of an errand place among the known ones, -1 where it is new."""
    for index in range(life.n_known[0]):
        if life.known[index] == place:
            return index
    return -1


@kernel
def return_index(life, here):
    """Return the index of a known place other than `here`, in proportion to visits; -1 without any."""
    total = 0
    for index in range(life.n_known[0]):
        if life.known[index] != here:
            total += life.visits[index]
    if total == 0:
        return -1
    target = uniform(life.state) * total
    last = -1
    for index in range(life.n_known[0]):
        if life.known[index] != here:
            last = index
            target -= life.visits[index]
            if target < 0:
                break
    return last


@kernel
def explore(life, rules, city, x_m, y_m):
    """Return a place not known so far, or -1 where nearly all are known already."""
    for _ in range(_TRIES):
        place = pick_by_distance(
            life.state, city.place_pull, 0, city.place_x_m.size, city.place_x_m, city.place_y_m,
            x_m, y_m, rules.errand_decay_m, rules.errand_exponent,
        )  # fmt: skip
        if known_index(life, place) < 0:
            return place
    return -1


@kernel
def choose_errand(life, rules, city, n_anchors, here, x_m, y_m):
    """Return the next errand place and remember the visit; -1 where neither a new nor a known place is left.

    `n_anchors` is the number of places known from the start (home, and work for the employed);
    they count as known in the chance of exploring.
    """
    chance = rules.explore_rho * float(n_anchors + life.n_known[0]) ** -rules.explore_gamma
    index = -1
    if uniform(life.state) >= chance:
        index = return_index(life, here)
    if index < 0:
        place = explore(life, rules, city, x_m, y_m)
        if place >= 0:
            index = life.n_known[0]
            life.n_known[0] += 1
            life.known[index], life.visits[index] = place, 0
        else:
            index = return_index(life, here)
            if index < 0:
                return -1
    life.visits[index] += 1
    return life.known[index]


def blank_life(n_places: int) -> Life:
    """Return room for a person who gets to know at most `n_places` errand places."""
    known, visits = np.empty(n_places, np.int64), np.empty(n_places, np.int64)
    return Life(np.empty(1, np.uint64), np.empty(1, np.int64), np.empty(1, np.int64), known, visits)
