"""The people of one bucket: home, jobs, what they do on which day, and their phones.

Each is drawn from streams of (seed, person), so a person is the same in every bucketing.
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import random_streams as streams
from pipeline.simulation.areas import NO_AREAS, Areas, areas_at_metres
from pipeline.simulation.careers import EMPLOYED, NEVER, draw_careers, job_rows
from pipeline.simulation.city import City, draw_site
from pipeline.simulation.households import home_of, move_in
from pipeline.simulation.jobs import Jobs, Traits, blank_jobs, draw_first_jobs, draw_traits, job_market
from pipeline.simulation.params import CityParams
from pipeline.simulation.phones import draw_phones
from pipeline.simulation.random_streams import lognormal, open_stream, uniform

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_OUTGOING_LOG_SPREAD = 0.35  # of how much people go out, lognormal with median 1
_MAX_RATE = 10.0  # nobody pings more than this many times the mean


class People(NamedTuple):
    """People as flat arrays for kernels, one element per person of the bucket or per (person, local day)."""

    person: NDArray[np.int64]  # number within the city, whatever the bucketing
    home_x_m: Floats
    home_y_m: Floats
    area: NDArray[np.int64]  # home area; 0 for all in a city without
    is_employed: Flags  # has a job when the study begins
    has_phone: Flags  # that reports
    pings_per_day: Floats  # mean rate of this person
    jobs: Jobs
    job: NDArray[np.int32]  # (person, day): row of jobs held, or lost last; -1 without any
    status: NDArray[np.int8]  # (person, day): index into careers.STATUSES
    is_remote: Flags  # (person, day): works at home on all working days
    works: Flags  # (person, day): goes to work; a night shift belongs to the day on which it starts
    works_at_home: Flags  # (person, day)
    outgoing: Floats  # (person, day): multiplies the chances of going out, mean about 1
    carries: Flags  # (person, day): has the phone along


@kernel
def draw_homes(seed, city, people, mean_pings_per_day, rate_log_spread):
    """Fill homes, how much people go out, and personal rates."""
    state = np.empty(1, np.uint64)
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.HOMES)
        people.home_x_m[k], people.home_y_m[k] = draw_site(state, city)
        people.outgoing[k, :] = lognormal(state, 1.0, _OUTGOING_LOG_SPREAD)
        median = mean_pings_per_day * math.exp(-0.5 * rate_log_spread * rate_log_spread)
        people.pings_per_day[k] = min(lognormal(state, median, rate_log_spread), _MAX_RATE * mean_pings_per_day)


@kernel
def start_weeks(state, people, has_rota, k):
    """Draw on which weekday the week of a first job on a rota starts."""
    if people.is_employed[k] and has_rota[people.jobs.sector[k]]:
        people.jobs.week_starts[k] = int(uniform(state) * 7)


@kernel
def plan_work(seed, people, has_rota, first_weekday, day_off_share):
    """Fill where people work on which days: the working days of the job less days off, some at home.

    A rota takes any days of the week, other jobs Monday to Friday.
    """
    state, jobs = np.empty(1, np.uint64), people.jobs
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.WORKDAYS)
        start_weeks(state, people, has_rota, k)
        for day in range(people.works.shape[1]):
            job = people.job[k, day]
            is_present = uniform(state) >= day_off_share
            people.works[k, day] = people.works_at_home[k, day] = False
            if not is_present or people.status[k, day] != EMPLOYED:
                continue
            number = (first_weekday + day - jobs.week_starts[job]) % 7
            if number >= jobs.days_per_week[job]:
                continue
            is_home_day = (number + jobs.home_shift[job]) % jobs.days_per_week[job] < jobs.home_days[job]
            at_home = people.is_remote[k, day] or is_home_day
            people.works[k, day], people.works_at_home[k, day] = not at_home, at_home


def persons_of(params: CityParams, bucket: int, n_buckets: int) -> NDArray[np.int64]:
    """Return the numbers of the people of a bucket: those with number % n_buckets == bucket."""
    if not 0 <= bucket < n_buckets:
        raise ValueError(f"bucket {bucket} is not one of {n_buckets}")
    return np.arange(bucket, params.n_devices, n_buckets, dtype=np.int64)


def _blank_people(params: CityParams, person: NDArray[np.int64]) -> People:
    n_people, by_day = person.size, (person.size, params.n_days)
    home_x_m, home_y_m, rate = (np.empty(n_people) for _ in range(3))
    is_remote, works, works_at_home = (np.zeros(by_day, np.bool_) for _ in range(3))
    return People(
        person=person,
        home_x_m=home_x_m,
        home_y_m=home_y_m,
        area=np.zeros(n_people, np.int64),
        is_employed=np.zeros(n_people, np.bool_),
        has_phone=np.ones(n_people, np.bool_),
        pings_per_day=rate,
        jobs=blank_jobs(job_rows(params, n_people)),
        job=np.full(by_day, -1, np.int32),
        status=np.zeros(by_day, np.int8),
        is_remote=is_remote,
        works=works,
        works_at_home=works_at_home,
        outgoing=np.empty(by_day),
        carries=np.ones(by_day, np.bool_),
    )


def _hold_first_jobs(people: People) -> None:
    """Fill jobs and statuses as if nothing happened."""
    people.job[people.is_employed] = np.flatnonzero(people.is_employed)[:, np.newaxis]
    people.status[:] = np.where(people.is_employed, EMPLOYED, NEVER)[:, np.newaxis]


def draw_people(params: CityParams, city: City, person: NDArray[np.int64], areas: Areas = NO_AREAS) -> People:
    """Return the people with these numbers, with homes, jobs and what they do on every day of the study."""
    people, seed = _blank_people(params, person), np.uint64(params.seed)
    traits = Traits._make(np.empty(person.size) for _ in Traits._fields)
    draw_homes(seed, city, people, params.pings_per_day, params.rate_log_spread)
    if params.households:
        move_in(seed, city, home_of(params, person), people.home_x_m, people.home_y_m)
    people.area[:] = areas_at_metres(params, areas, people.home_x_m, people.home_y_m)
    market = job_market(params, city, areas.affluence)
    draw_first_jobs(seed, market, city, people, params.employed_share)
    draw_traits(seed, person, traits)
    _hold_first_jobs(people)
    people = people._replace(jobs=draw_careers(params, market, traits, city, areas.affluence, people))
    plan_work(seed, people, market.has_rota, params.start.weekday(), params.day_off_share)
    draw_phones(params, areas.affluence, people)
    return people


def device_ids(params: CityParams, person: NDArray[np.int64]) -> list[str]:
    """Return the anonymised ids of people: 32 hexadecimal digits made from the seed and the number."""
    return [
        hashlib.blake2b(f"{params.seed}:{number}".encode(), digest_size=16).hexdigest() for number in person.tolist()
    ]
