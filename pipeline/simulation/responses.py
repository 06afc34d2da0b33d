"""People who answer to policies and risk: which of their outings, and working days, are left.

Everybody first lives as if nothing happened. Then each outing (from home or work and back, one errand or more) is kept
with probability exp(eta) of the home's county on its day, see ``npi_params.Response``; who drops one stays where they
were, or goes straight home. So errands per person and day are, on average, exactly exp(eta) times what they would
have been, and a city without response is the counterfactual, outing by outing: also in that people get to know places
they did not go to. What changes in the counterfactual by itself stays: which places are visited drifts by a percent or
so in four months, as people know more of them.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.npi_drivers import drivers
from pipeline.simulation import random_streams as streams
from pipeline.simulation.areas import Areas
from pipeline.simulation.clock import DAY_S, Clock, offset_at
from pipeline.simulation.epidemic import simulate_epidemic
from pipeline.simulation.errands import Rules
from pipeline.simulation.ground import Ground
from pipeline.simulation.npi_params import Response
from pipeline.simulation.params import CityParams
from pipeline.simulation.people import People
from pipeline.simulation.policies import counties_of, regions_of, series_dates, simulate_policies
from pipeline.simulation.random_streams import open_stream, uniform
from pipeline.simulation.schedules import ERRAND, Diaries, errand_rules, trip_s

Floats = NDArray[np.float64]


class Caution(NamedTuple):
    """What people answer with, as plain numbers for kernels."""

    eta: Floats  # (area, day): log of the share of outings that is left
    work: float  # times that: log of the share of working days at the workplace


def simulate_response(params: CityParams, areas: Areas, ground: Ground | None = None) -> pd.DataFrame:
    """Return what people of each county answer to on each local date of the study, and how.

    The columns of ``npi_drivers.drivers``, eta, and keep_share = min(1, exp(eta)), by region and date.
    """
    response = params.response
    if response is None:
        raise ValueError("nobody in this city answers to anything")
    dates = [day for day in series_dates(params) if 0 <= (day - params.start).days < params.n_days]
    policies, epidemic = simulate_policies(params, areas), simulate_epidemic(params, areas, ground)
    for series in (policies, epidemic):
        series["date"] = pd.to_datetime(series["date"])
    found = drivers(policies, epidemic, regions_of(areas), dates[0], dates[-1], response.driver_params)
    terms = {"stringency": response.stringency, "severity": response.severity, response.term: response.adaptation}
    found["eta"] = sum(coefficient * found[term] for term, coefficient in terms.items())
    found["keep_share"] = np.minimum(1.0, np.exp(found["eta"]))
    return found


def caution_of(params: CityParams, response: Response, areas: Areas, ground: Ground | None = None) -> Caution:
    """Return how people of each area answer on each day of the study."""
    found = simulate_response(params, areas, ground)
    regions, county = np.unique(counties_of(areas), return_inverse=True)
    eta = found["eta"].to_numpy().reshape(regions.size, params.n_days)[county]
    return Caution(eta * (1.0 + response.tilt * areas.affluence[:, np.newaxis]), response.work)


@kernel
def stay_off_work(seed, caution, people):
    """Move some working days to the home: one draw per person and day, whether or not it is one."""
    state = np.empty(1, np.uint64)
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.KEPT_WORKDAYS)
        for day in range(people.works.shape[1]):
            is_kept = uniform(state) < np.exp(caution.work * caution.eta[people.area[k], day])
            if people.works[k, day] and not is_kept and not people.jobs.is_night[people.job[k, day]]:
                people.works[k, day], people.works_at_home[k, day] = False, True


@kernel
def _copy_stay(diaries, source, target):
    diaries.started_s[target], diaries.finished_s[target] = diaries.started_s[source], diaries.finished_s[source]
    diaries.place[target], diaries.purpose[target] = diaries.place[source], diaries.purpose[source]
    diaries.x_m[target], diaries.y_m[target] = diaries.x_m[source], diaries.y_m[source]


@kernel
def _skip_outing(state, rules, diaries, row, back):
    """Go on from stay `row` to stay `back` as if nothing had been between; return the row that is open then."""
    if diaries.place[row] == diaries.place[back]:
        diaries.finished_s[row] = diaries.finished_s[back]
        return row
    distance_m = np.hypot(diaries.x_m[back] - diaries.x_m[row], diaries.y_m[back] - diaries.y_m[row])
    arrive_s = diaries.finished_s[row] + np.int64(np.ceil(trip_s(state, rules, distance_m)))
    _copy_stay(diaries, back, row + 1)
    diaries.started_s[row + 1] = min(arrive_s, diaries.started_s[row + 1])
    return row + 1


@kernel
def keep_outings(seed, clock, rules, caution, people, diaries):
    """Drop outings from the diaries, in place; return the number of stays left. A diary ends at home."""
    state, first_s = np.empty(1, np.uint64), clock.opened_s + offset_at(clock, clock.opened_s)
    target, n_days = 0, caution.eta.shape[1]
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.KEPT_OUTINGS)
        row, end = diaries.first[k], diaries.first[k + 1]
        diaries.first[k] = target
        _copy_stay(diaries, row, target)
        row += 1
        while row < end:
            back = row
            while diaries.purpose[back] == ERRAND:
                back += 1
            at_s = diaries.started_s[row]
            day = min((at_s + offset_at(clock, at_s) - first_s) // DAY_S, n_days - 1)
            if back > row and uniform(state) >= np.exp(caution.eta[people.area[k], day]):
                target = _skip_outing(state, rules, diaries, target, back)
            else:
                for stay in range(row, back + 1):
                    target += 1
                    _copy_stay(diaries, stay, target)
            row = back + 1
        target += 1
    diaries.first[people.person.size] = target
    return target


def thin_diaries(params: CityParams, clock: Clock, caution: Caution, people: People, diaries: Diaries) -> Diaries:
    """Return the diaries with the outings that are left; `diaries` themselves are used up."""
    rules: Rules = errand_rules(params)
    n_left = keep_outings(np.uint64(params.seed), clock, rules, caution, people, diaries)
    return Diaries._make([diaries.first, *(column[:n_left].copy() for column in diaries[1:])])
