"""Who has which job on which day: losses, recalls, new jobs, changes; and what they do to outings.

Day by day. A week (Monday to Sunday) draws once whether and on which day the job would be lost, and
whether and on which day it would be changed; so a city without losses draws the same weeks as one
with them, and is its counterfactual. The day of a loss is the first day without the job.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import random_streams as streams
from pipeline.simulation.city import City
from pipeline.simulation.events import Employment, Lockdown
from pipeline.simulation.jobs import Jobs, Market, Traits, draw_next_job, fit_job
from pipeline.simulation.params import CityParams
from pipeline.simulation.random_streams import lognormal, open_stream, uniform
from pipeline.simulation.sectors import N_SECTORS, SECTORS, by_sector

if TYPE_CHECKING:
    from pipeline.simulation.people import People

EMPLOYED, NOT_EMPLOYED, NEVER = 0, 1, 2
STATUSES = ("employed", "not_employed", "none")
_MONTH_D = 28.0
_JOBS_PER_WEEK = 2  # at most: a change and, after a loss of a week or more, a return

Floats = NDArray[np.float64]


class Rules(NamedTuple):
    """The chances of Employment as plain numbers for kernels."""

    first_weekday: int
    loss_chance: Floats  # (week of the study, sector)
    loss_factor: Floats  # on it, per area
    weekly_change: float
    spell_days: float
    spell_log_spread: float
    recall_share: float
    loss_outgoing: float
    loss_outgoing_per_month: float
    loss_outgoing_floor: float


class Curfew(NamedTuple):
    """A lockdown as plain numbers for kernels; days are counted from the study's first."""

    first_day: int
    last_day: int
    outgoing: Floats  # factor per day of the study
    telework_uptake: float
    lingering_days: float
    is_essential: NDArray[np.bool_]  # per sector


def n_weeks(params: CityParams) -> int:
    """Return how many weeks, from Monday to Sunday, the study touches."""
    return (params.start.weekday() + params.n_days - 1) // 7 + 1


def job_rows(params: CityParams, n_people: int) -> int:
    """Return rows of jobs that always suffice: a first one each and what weeks can add."""
    return n_people * (1 + _JOBS_PER_WEEK * n_weeks(params)) if params.employment else n_people


def career_rules(params: CityParams, employment: Employment, affluence: Floats) -> Rules:
    """Return the chances of loss per week and sector, what affluence of areas makes of them, and the other rules."""
    usual = by_sector(employment.weekly_loss, np.full(N_SECTORS, employment.usual_weekly_loss))
    stays = np.tile(1.0 - usual, (n_weeks(params), 1))
    monday = params.start - timedelta(days=params.start.weekday())
    for shock in employment.shocks:
        week = (shock.week - monday).days // 7
        if 0 <= week < len(stays):
            stays[week] *= 1.0 - by_sector(shock.shares, np.zeros(N_SECTORS))
    factor = np.exp(-employment.loss_tilt * affluence)
    others = [getattr(employment, name) for name in Rules._fields[3:]]
    return Rules(params.start.weekday(), 1.0 - stays, factor, *others)


def curfew_of(params: CityParams, lockdown: Lockdown | None) -> Curfew:
    """Return the lockdown by day of the study; without one, days that nobody sees."""
    if lockdown is None:
        return Curfew(params.n_days, params.n_days - 1, np.ones(params.n_days), 0.0, 0.0, np.zeros(N_SECTORS, np.bool_))
    first, last = (lockdown.start - params.start).days, (lockdown.end - params.start).days
    day = np.arange(params.n_days)
    since = np.maximum(day - last, 0)
    left = np.exp(-since / lockdown.recovery_days) if lockdown.recovery_days else (since == 0).astype(float)
    outgoing = np.where(day < first, 1.0, 1.0 - (1.0 - lockdown.outgoing) * left)
    is_essential = np.array([sector.naics in lockdown.essential for sector in SECTORS])
    return Curfew(first, last, outgoing, lockdown.telework_uptake, lockdown.lingering_days, is_essential)


@kernel
def going_out_after(rules, days_since):
    """Return the factor on outings so many days after the loss of a job."""
    factor = rules.loss_outgoing * rules.loss_outgoing_per_month ** (days_since / _MONTH_D)
    return max(factor, rules.loss_outgoing_floor)


@kernel
def draw_week(state, week):
    """Fill `week` with chances and days (0 to 6) of a loss and of a change: loss, its day, change, its day."""
    week[0], week[1] = uniform(state), np.floor(7.0 * uniform(state))
    week[2], week[3] = uniform(state), np.floor(7.0 * uniform(state))


@kernel
def draw_spell(state, rules):
    """Return (days without the job, at least 7; whether it ends at the old workplace)."""
    days = np.ceil(lognormal(state, rules.spell_days, rules.spell_log_spread))
    return np.int64(max(days, 7.0)), uniform(state) < rules.recall_share


@kernel
def live_career(states, rules, market, traits, habits, city, people, k, next_row):
    """Fill job and status of person k, who has a job, on every day; return the next free row of jobs."""
    weeks, spells, offers = states
    jobs, job = people.jobs, k
    week = np.empty(4)
    lost_day, return_day, is_recalled = -1, -1, False
    fit_job(market, traits, habits, jobs, k, k)
    for day in range(people.job.shape[1]):
        weekday = (rules.first_weekday + day) % 7
        if weekday == 0 or day == 0:
            draw_week(weeks, week)
        is_held, is_new = lost_day < 0, False
        chance = rules.loss_chance[(rules.first_weekday + day) // 7, jobs.sector[job]]
        chance *= rules.loss_factor[people.area[k]]
        if is_held and weekday == week[1] and week[0] < chance:
            lost_day = day
            n_days, is_recalled = draw_spell(spells, rules)
            return_day = day + n_days
        elif is_held:
            is_new = weekday == week[3] and week[2] < rules.weekly_change
        elif day == return_day:
            lost_day, is_new = -1, not is_recalled
        if is_new:
            draw_next_job(offers, market, city, people, k, job, next_row)
            fit_job(market, traits, habits, jobs, k, next_row)
            job = next_row
            next_row += 1
        people.job[k, day] = job
        if lost_day >= 0:
            people.status[k, day] = NOT_EMPLOYED
            people.outgoing[k, day] *= going_out_after(rules, day - lost_day)
    return next_row


@kernel
def live_careers(seed, rules, market, traits, habits, city, people):
    """Fill the careers of all who begin with a job; return the number of rows of jobs in use."""
    weeks, spells, offers = np.empty(1, np.uint64), np.empty(1, np.uint64), np.empty(1, np.uint64)
    next_row = people.person.size
    for k in range(people.person.size):
        if people.is_employed[k]:
            open_stream(weeks, seed, people.person[k], streams.CAREERS)
            open_stream(spells, seed, people.person[k], streams.SPELLS)
            open_stream(offers, seed, people.person[k], streams.OFFERS)
            states = (weeks, spells, offers)
            next_row = live_career(states, rules, market, traits, habits, city, people, k, next_row)
    return next_row


@kernel
def stay_at_home(curfew, traits, people):
    """Fill who works at home on all working days of the lockdown and for a while after it."""
    for k in range(people.person.size):
        if traits.uptake[k] >= curfew.telework_uptake:
            continue
        last_day = curfew.last_day + np.int64(-np.log(traits.lingering[k]) * curfew.lingering_days)
        for day in range(max(curfew.first_day, 0), min(last_day + 1, people.job.shape[1])):
            job = people.job[k, day]
            is_held = people.status[k, day] == EMPLOYED
            if is_held and people.jobs.can_telework[job] and not curfew.is_essential[people.jobs.sector[job]]:
                people.is_remote[k, day] = True


@kernel
def move_less(factors, people):
    """Scale everybody's outings day by day."""
    for k in range(people.person.size):
        for day in range(factors.size):
            people.outgoing[k, day] *= factors[day]


def draw_careers(
    params: CityParams, market: Market, traits: Traits, city: City, affluence: Floats, people: "People"
) -> Jobs:
    """Fill jobs, statuses and outings of `people` day by day; return the jobs in use."""
    employment, curfew = params.employment, curfew_of(params, params.lockdown)
    n_rows = people.person.size
    if employment:
        habits = (
            employment.part_time_share, employment.half_day_share, employment.night_share,
            employment.usual_telework_share,
        )  # fmt: skip
        rules = career_rules(params, employment, affluence)
        n_rows = live_careers(np.uint64(params.seed), rules, market, traits, habits, city, people)
    stay_at_home(curfew, traits, people)
    move_less(curfew.outgoing, people)
    return Jobs._make(column[:n_rows] for column in people.jobs)
