"""The people of one bucket: home, job, habits of work and of phone use.

Each is drawn from streams of (seed, person), so a person is the same in every bucketing.
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import random_streams as streams
from pipeline.simulation.city import SECTORS, City, draw_site, pick_by_distance
from pipeline.simulation.params import CityParams
from pipeline.simulation.random_streams import lognormal, normal_pair, open_stream, pick, uniform

Floats = NDArray[np.float64]
_EARLIEST_S, _LATEST_S = 5 * 3_600, 15 * 3_600  # first and last start of a shift, clock seconds
_LATE_SHIFT_S = 5 * 3_600  # a late shift starts this much after the usual one
_LATE_SHARE = 0.3  # of people on a rota
_MAX_SHIFT_S = 12 * 3_600.0
_OUTGOING_LOG_SPREAD = 0.35  # of how much people go out, lognormal with median 1
_MAX_RATE = 10.0  # nobody pings more than this many times the mean


class People(NamedTuple):
    """People as flat arrays for kernels, one element per person of the bucket."""

    person: NDArray[np.int64]  # number within the city, whatever the bucketing
    home_x_m: Floats
    home_y_m: Floats
    is_employed: NDArray[np.bool_]
    workplace: NDArray[np.int64]  # index into City.work_*, -1 without a job
    work_x_m: Floats  # NaN without a job
    work_y_m: Floats
    sector: NDArray[np.int64]  # index into SECTORS, -1 without a job
    shift_start_s: Floats  # clock seconds
    shift_length_s: Floats
    outgoing: Floats  # multiplies the chances of going out, mean about 1
    pings_per_day: Floats  # mean rate of this person
    works: NDArray[np.bool_]  # (person, day): whether the person goes to work on that local day


@kernel
def draw_homes(seed, city, people, mean_pings_per_day, rate_log_spread):
    """Fill homes and personal rates."""
    state = np.empty(1, np.uint64)
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.HOMES)
        people.home_x_m[k], people.home_y_m[k] = draw_site(state, city)
        people.outgoing[k] = lognormal(state, 1.0, _OUTGOING_LOG_SPREAD)
        median = mean_pings_per_day * math.exp(-0.5 * rate_log_spread * rate_log_spread)
        people.pings_per_day[k] = min(lognormal(state, median, rate_log_spread), _MAX_RATE * mean_pings_per_day)


@kernel
def draw_jobs(seed, city, people, sector_pull, usual_start_s, has_rota, habits):
    """Fill jobs: a sector by its share, a workplace in it by size and distance from home, a shift."""
    employed_share, decay_m, exponent, start_spread_s, length_s, length_spread = habits
    state = np.empty(1, np.uint64)
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.JOBS)
        people.is_employed[k] = uniform(state) < employed_share
        if not people.is_employed[k]:
            people.workplace[k], people.sector[k] = -1, -1
            people.work_x_m[k], people.work_y_m[k] = math.nan, math.nan
            people.shift_start_s[k], people.shift_length_s[k] = 0.0, 0.0
            continue
        sector = pick(state, sector_pull, 0, sector_pull.size)
        work = pick_by_distance(
            state, city.work_pull, city.sector_first[sector], city.sector_first[sector + 1],
            city.work_x_m, city.work_y_m, people.home_x_m[k], people.home_y_m[k], decay_m, exponent,
        )  # fmt: skip
        people.sector[k], people.workplace[k] = sector, work
        people.work_x_m[k], people.work_y_m[k] = city.work_x_m[work], city.work_y_m[work]
        start_s = usual_start_s[sector] + start_spread_s * normal_pair(state)[0]
        if has_rota[sector] and uniform(state) < _LATE_SHARE:
            start_s += _LATE_SHIFT_S
        people.shift_start_s[k] = min(max(start_s, _EARLIEST_S), _LATEST_S)
        people.shift_length_s[k] = min(lognormal(state, length_s, length_spread), _MAX_SHIFT_S)


@kernel
def plan_work(seed, people, has_rota, first_weekday, day_off_share):
    """Fill people.works: five days a week less days off; a rota takes any five, others Monday to Friday."""
    state = np.empty(1, np.uint64)
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.WORKDAYS)
        is_rota = people.is_employed[k] and has_rota[people.sector[k]]
        week_starts = int(uniform(state) * 7) if is_rota else 0
        for day in range(people.works.shape[1]):
            weekday = (first_weekday + day - week_starts) % 7
            is_present = uniform(state) >= day_off_share
            people.works[k, day] = people.is_employed[k] and weekday < 5 and is_present


def persons_of(params: CityParams, bucket: int, n_buckets: int) -> NDArray[np.int64]:
    """Return the numbers of the people of a bucket: those with number % n_buckets == bucket."""
    if not 0 <= bucket < n_buckets:
        raise ValueError(f"bucket {bucket} is not one of {n_buckets}")
    return np.arange(bucket, params.n_devices, n_buckets, dtype=np.int64)


def _blank_people(person: NDArray[np.int64], n_days: int) -> People:
    floats = [np.empty(person.size) for _ in range(8)]
    home_x, home_y, work_x, work_y, start, length, outgoing, rate = floats
    employed = np.empty(person.size, np.bool_)
    workplace, sector = np.empty(person.size, np.int64), np.empty(person.size, np.int64)
    works = np.empty((person.size, n_days), np.bool_)
    return People(
        person,
        home_x,
        home_y,
        employed,
        workplace,
        work_x,
        work_y,
        sector,
        start,
        length,
        outgoing,
        rate,
        works,
    )


def draw_people(params: CityParams, city: City, person: NDArray[np.int64]) -> People:
    """Return the people with these numbers, with homes, jobs and the days on which they go to work."""
    people = _blank_people(person, params.n_days)
    seed = np.uint64(params.seed)
    has_rota = np.array([sector.has_rota for sector in SECTORS])
    usual_start_s = np.array([sector.usual_start_s for sector in SECTORS], np.float64)
    sector_pull = np.cumsum([sector.job_share for sector in SECTORS])
    habits = (
        params.employed_share, params.commute_decay_m, params.commute_exponent,
        params.shift_start_spread_s, params.shift_length_s, params.shift_length_log_spread,
    )  # fmt: skip
    draw_homes(seed, city, people, params.pings_per_day, params.rate_log_spread)
    draw_jobs(seed, city, people, sector_pull, usual_start_s, has_rota, habits)
    plan_work(seed, people, has_rota, params.start.weekday(), params.day_off_share)
    return people


def device_ids(params: CityParams, person: NDArray[np.int64]) -> list[str]:
    """Return the anonymised ids of people: 32 hexadecimal digits made from the seed and the number."""
    return [
        hashlib.blake2b(f"{params.seed}:{number}".encode(), digest_size=16).hexdigest() for number in person.tolist()
    ]
