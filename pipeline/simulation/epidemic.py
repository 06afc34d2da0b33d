"""An epidemic in every county: a renewal process with arrivals, immunity, orders and chance; what of it is reported.

New infections on a day are Poisson around R x (what past infections pass on that day), plus arrivals. R falls with
stringency and with the share of residents infected so far, and has noise from day to day. Cases and deaths are
binomial shares of infections that become known after a delay; fewer are reported at weekends. People's own caution
does not enter, and counties do not infect each other. Figures are ours, rounded from what is commonly assumed.
"""

from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.simulation import random_streams as streams
from pipeline.simulation.areas import Areas
from pipeline.simulation.ground import Ground
from pipeline.simulation.npi_params import Outbreak
from pipeline.simulation.params import CityParams
from pipeline.simulation.policies import counties_of, region_generator, series_dates, simulate_policies
from pipeline.simulation.tracts import own_populations

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_GENERATION = (1.6, 3.2, 14)  # from one infection to the next: scale and shape (gamma, days), days at most
_CASE_DELAY = (2.0, 4.0, 28)  # from infection to report
_DEATH_DELAY = (2.5, 8.0, 56)
_ARRIVAL_DAYS = 7
_SATURDAY, _SUNDAY, _MONDAY = 5, 6, 0


def delays(scale_days: float, shape: float, n_days: int) -> Floats:
    """Return the chances of a delay of 1 to `n_days` days: gamma densities at whole days, made to sum to 1."""
    day = np.arange(1, n_days + 1)
    density = day ** (shape - 1.0) * np.exp(-day / scale_days)
    return density / density.sum()


def draw_infections(
    outbreak: Outbreak, stringency: Floats, arrives: int, population: int, generator: np.random.Generator
) -> Integers:
    """Return new infections day by day; the first arrive on day `arrives`, and nobody is infected twice."""
    weights = delays(*_GENERATION)[::-1]
    infections = np.zeros(stringency.size, np.int64)
    arrivals = max(1.0, outbreak.arrivals_per_100k * population / 100_000)
    for day in range(max(arrives, 0), stringency.size):
        past = infections[max(day - weights.size, 0) : day]
        passed_on = float(past @ weights[weights.size - past.size :])
        left = population - int(infections[:day].sum())
        rate = outbreak.reproduction * np.exp(-outbreak.slowing * stringency[day] / 100.0)
        rate *= np.exp(outbreak.noise * generator.standard_normal()) * left / population
        mean = rate * passed_on + (arrivals if day < arrives + _ARRIVAL_DAYS else 0.0)
        infections[day] = min(generator.poisson(mean), left)
    return infections


def draw_reported(
    infections: Integers, share: float, chances: Floats, weekday: Integers, weekend_share: float,
    generator: np.random.Generator,
) -> Integers:  # fmt: skip
    """Return the number reported day by day: a share of infections, each after a delay, later still at weekends."""
    known = np.zeros(infections.size + chances.size, np.int64)
    happened = generator.binomial(infections, share)
    for day, n in enumerate(happened):
        known[day + 1 : day + 1 + chances.size] += generator.multinomial(n, chances)
    reported, waiting = known[: infections.size].copy(), 0
    for day in range(reported.size):
        if weekday[day] in (_SATURDAY, _SUNDAY):
            kept = int(generator.binomial(reported[day], weekend_share))
            waiting += reported[day] - kept
            reported[day] = kept
        elif weekday[day] == _MONDAY:
            reported[day] += waiting
            waiting = 0
    return reported


def populations_of(params: CityParams, areas: Areas, ground: Ground | None = None) -> pd.Series:
    """Return the residents of every county by its id, at least one each."""
    residents = own_populations(params) if ground is None else np.rint(ground.population).astype(np.int64)
    return pd.Series(residents).groupby(counties_of(areas)).sum().clip(lower=1)


def simulate_epidemic(params: CityParams, areas: Areas, ground: Ground | None = None) -> pd.DataFrame:
    """Return what is reported by county and date: region_geoid, date, new_cases, new_deaths, population."""
    if params.outbreak is None:
        raise ValueError("a city without an outbreak has no epidemic")
    dates, population = series_dates(params), populations_of(params, areas, ground)
    policies = simulate_policies(params, areas)
    parts = []
    for region, mine in policies.groupby("region_geoid", sort=True):
        n_people = int(population[region])
        counts = _draw_county(params, params.outbreak, str(region), mine["stringency"].to_numpy(), n_people, dates)
        parts.append(pd.DataFrame({"region_geoid": region, "date": dates, **counts, "population": n_people}))
    return pd.concat(parts, ignore_index=True)


def _draw_county(
    params: CityParams, outbreak: Outbreak, region: str, stringency: Floats, population: int, dates: list[date]
) -> dict[str, Integers]:
    generator = region_generator(params, streams.EPIDEMICS, region)
    arrives = (outbreak.first - dates[0]).days + int(generator.integers(outbreak.stagger_days + 1))
    infections = draw_infections(outbreak, stringency, arrives, population, generator)
    weekday = np.array([day.weekday() for day in dates])
    shares = {"new_cases": (outbreak.case_share, _CASE_DELAY), "new_deaths": (outbreak.death_share, _DEATH_DELAY)}
    return {
        name: draw_reported(infections, share, delays(*delay), weekday, outbreak.weekend_share, generator)
        for name, (share, delay) in shares.items()
    }
