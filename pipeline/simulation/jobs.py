"""Jobs: a workplace, a sector, a shift; drawn by home tract, sector and distance from home."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import random_streams as streams
from pipeline.simulation.city import City, pick_by_distance
from pipeline.simulation.events import Employment
from pipeline.simulation.params import CityParams
from pipeline.simulation.random_streams import lognormal, normal_pair, open_stream, pick, uniform
from pipeline.simulation.sectors import N_SECTORS, SECTORS, by_sector

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_EARLIEST_S, _LATEST_S = 5 * 3_600, 15 * 3_600  # first and last start of a shift by day, clock seconds
_LATE_SHIFT_S = 5 * 3_600  # a late shift starts this much after the usual one
_LATE_SHARE = 0.3  # of people on a rota
_MAX_SHIFT_S = 12 * 3_600.0
_NIGHT_S, _NIGHT_SPREAD_S = 22 * 3_600.0, 3_600.0  # a night shift starts at about ten, at most an hour off
_HALF_DAY = 0.5
_TRIES, _TRIES_IN_SECTOR = 1_000, 100  # draws of a new workplace before the old one is taken again; in one sector


class Jobs(NamedTuple):
    """Jobs as flat arrays for kernels. Row k is the first job of person k, if any; later jobs follow all of these."""

    workplace: Integers  # index into City.work_*, -1 where there is no job
    x_m: Floats  # NaN where there is no job
    y_m: Floats
    sector: Integers  # index into SECTORS, -1 where there is no job
    shift_start_s: Floats  # clock seconds
    shift_length_s: Floats
    week_starts: Integers  # weekday (0 Monday) that is the first of the job's working days
    days_per_week: Integers
    home_days: Integers  # of the working days of a week, those usually worked at home
    home_shift: Integers  # moves them within the week
    is_part_time: Flags
    is_night: Flags
    can_telework: Flags


class Market(NamedTuple):
    """The jobs on offer and the usual shifts, as plain numbers for kernels."""

    sector_pull: Floats  # running sum over areas, then sectors, of the weights of sectors for people of an area
    usual_start_s: Floats  # per sector
    has_rota: Flags
    has_nights: Flags
    telework_share: Floats
    commute_decay_m: float
    commute_exponent: float
    shift_start_spread_s: float
    shift_length_s: float
    shift_length_log_spread: float
    same_sector_share: float


class Traits(NamedTuple):
    """Numbers in (0, 1), one per person, that decide what every job of a person is like."""

    part_time: Floats
    half_day: Floats
    days: Floats
    night: Floats
    telework: Floats
    usual_telework: Floats
    home_days: Floats
    week: Floats
    uptake: Floats
    lingering: Floats


def blank_jobs(n_rows: int) -> Jobs:
    """Return room for jobs: no workplace, Monday to Friday, by day, never at home."""
    floats = [np.zeros(n_rows) for _ in range(4)]
    integers = [np.zeros(n_rows, np.int64) for _ in range(6)]
    flags = [np.zeros(n_rows, np.bool_) for _ in range(3)]
    workplace, sector, week_starts, days, home_days, home_shift = integers
    workplace[:], sector[:], days[:] = -1, -1, 5
    x_m, y_m, start_s, length_s = floats
    x_m[:], y_m[:] = np.nan, np.nan
    return Jobs(
        workplace, x_m, y_m, sector, start_s, length_s, week_starts, days, home_days, home_shift, *flags
    )  # fmt: skip


def job_market(params: CityParams, city: City, affluence: Floats) -> Market:
    """Return what is on offer to people of each area; `affluence` of the areas tilts the choice of sector."""
    employment = params.employment or Employment()
    pay = np.array([sector.pay for sector in SECTORS])
    tilted = city.sector_share * np.exp(employment.sector_tilt * pay * affluence[:, np.newaxis])
    usual_telework = np.array([sector.telework_share for sector in SECTORS])
    return Market(
        sector_pull=np.cumsum(tilted.ravel()),
        usual_start_s=np.array([sector.usual_start_s for sector in SECTORS], np.float64),
        has_rota=np.array([sector.has_rota for sector in SECTORS]),
        has_nights=np.array([sector.has_nights for sector in SECTORS]),
        telework_share=by_sector(employment.telework_shares, usual_telework),
        commute_decay_m=params.commute_decay_m,
        commute_exponent=params.commute_exponent,
        shift_start_spread_s=params.shift_start_spread_s,
        shift_length_s=params.shift_length_s,
        shift_length_log_spread=params.shift_length_log_spread,
        same_sector_share=employment.same_sector_share,
    )


@kernel
def pick_sector(state, market, area):
    """Return a sector by its weight for people of this area."""
    return pick(state, market.sector_pull, area * N_SECTORS, (area + 1) * N_SECTORS) - area * N_SECTORS


@kernel
def pick_workplace(state, market, city, sector, home_x_m, home_y_m):
    """Return a workplace of the sector by size and distance from home."""
    return pick_by_distance(
        state, city.work_pull, city.sector_first[sector], city.sector_first[sector + 1],
        city.work_x_m, city.work_y_m, home_x_m, home_y_m, market.commute_decay_m, market.commute_exponent,
    )  # fmt: skip


@kernel
def fill_job(state, market, city, jobs, row, sector, work):
    """Fill a row of `jobs` with a workplace and draw its shift."""
    jobs.sector[row], jobs.workplace[row] = sector, work
    jobs.x_m[row], jobs.y_m[row] = city.work_x_m[work], city.work_y_m[work]
    start_s = market.usual_start_s[sector] + market.shift_start_spread_s * normal_pair(state)[0]
    if market.has_rota[sector] and uniform(state) < _LATE_SHARE:
        start_s += _LATE_SHIFT_S
    jobs.shift_start_s[row] = min(max(start_s, _EARLIEST_S), _LATEST_S)
    length_s = lognormal(state, market.shift_length_s, market.shift_length_log_spread)
    jobs.shift_length_s[row] = min(length_s, _MAX_SHIFT_S)


@kernel
def draw_first_jobs(seed, market, city, people, employed_share):
    """Fill who has a job, and row k of the jobs of those who have."""
    state = np.empty(1, np.uint64)
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.JOBS)
        people.is_employed[k] = uniform(state) < employed_share
        if people.is_employed[k]:
            sector = pick_sector(state, market, people.area[k])
            work = pick_workplace(state, market, city, sector, people.home_x_m[k], people.home_y_m[k])
            fill_job(state, market, city, people.jobs, k, sector, work)


@kernel
def draw_next_job(state, market, city, people, k, last, row):
    """Fill `row` with a job at another workplace than that of job `last`; its week starts on any day of a rota."""
    jobs, last_work = people.jobs, people.jobs.workplace[last]
    sector = jobs.sector[last]
    work = last_work
    if uniform(state) >= market.same_sector_share:
        sector = pick_sector(state, market, people.area[k])
    for number in range(_TRIES):
        if number >= _TRIES_IN_SECTOR or city.sector_first[sector + 1] - city.sector_first[sector] == 1:
            sector = pick_sector(state, market, people.area[k])
        work = pick_workplace(state, market, city, sector, people.home_x_m[k], people.home_y_m[k])
        if work != last_work:
            break
    fill_job(state, market, city, jobs, row, sector, work)
    week_starts = int(uniform(state) * 7)
    jobs.week_starts[row] = week_starts if market.has_rota[sector] else 0


@kernel
def draw_traits(seed, person, traits):
    """Fill the traits of people: one stream each, so that no event moves them."""
    state = np.empty(1, np.uint64)
    for k in range(person.size):
        open_stream(state, seed, person[k], streams.TRAITS)
        for trait in traits:
            trait[k] = uniform(state)


@kernel
def fit_job(market, traits, habits, jobs, k, row):
    """Make the job at `row` what the traits of person k say: part-time, by night, partly at home."""
    part_time_share, half_day_share, night_share, usual_telework_share = habits
    sector = jobs.sector[row]
    if market.has_nights[sector] and traits.night[k] < night_share:
        off_s = jobs.shift_start_s[row] - market.usual_start_s[sector]
        jobs.is_night[row] = True
        jobs.shift_start_s[row] = _NIGHT_S + min(max(off_s, -_NIGHT_SPREAD_S), _NIGHT_SPREAD_S)
    if traits.part_time[k] < part_time_share:
        jobs.is_part_time[row] = True
        if traits.half_day[k] < half_day_share:
            jobs.shift_length_s[row] *= _HALF_DAY
        else:
            days = 2 + int(3.0 * traits.days[k])
            jobs.days_per_week[row] = days
            if not market.has_rota[sector]:
                jobs.week_starts[row] = int(traits.week[k] * (6 - days))
    jobs.can_telework[row] = not jobs.is_night[row] and traits.telework[k] < market.telework_share[sector]
    if jobs.can_telework[row] and traits.usual_telework[k] < usual_telework_share:
        jobs.home_days[row] = min(1 + int(2.0 * traits.home_days[k]), jobs.days_per_week[row] - 1)
        jobs.home_shift[row] = int(traits.week[k] * jobs.days_per_week[row])
