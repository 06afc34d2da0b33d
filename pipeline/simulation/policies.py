"""Orders of counties and how strict they are day by day: staggered, each county at dates and strengths of its own.

A county declares a state of emergency, closes schools, orders people to stay at home and reopens; some stop at
schools. Stringency is that of the order that holds, and 0 before the first.
"""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.simulation import random_streams as streams
from pipeline.simulation.areas import Areas
from pipeline.simulation.npi_params import Policies
from pipeline.simulation.params import CityParams, raw_dates
from pipeline.study import dates_between

ORDERS = ("state of emergency", "school closure", "stay at home", "reopening")
LEAD_DAYS = 60  # series begin so long before the study, so that lags and trailing means find what they need
_COUNTY_DIGITS = 5


def regions_of(areas: Areas) -> NDArray[np.object_]:
    """Return the ids of the counties of a city in order."""
    return np.unique(counties_of(areas))


def counties_of(areas: Areas) -> NDArray[np.object_]:
    """Return the id of the county of each area."""
    return np.array([geoid[:_COUNTY_DIGITS] for geoid in areas.geoid], object)


def series_dates(params: CityParams) -> list[date]:
    """Return the dates of a city's series: from LEAD_DAYS before its first local date to its last UTC date."""
    return dates_between(params.start - timedelta(days=LEAD_DAYS), raw_dates(params)[-1])


def region_generator(params: CityParams, stream: int, region: str) -> np.random.Generator:
    """Return the random numbers of one county: the same whatever other counties there are."""
    return np.random.default_rng([params.seed, stream, int(region)])


def simulate_orders(params: CityParams, areas: Areas) -> pd.DataFrame:
    """Return the orders of all counties: region_geoid, order, ordered_on (None: never), stringency from then on.

    Orders may lie after the study: they are drawn whether or not it lasts so long.
    """
    policies, regions = params.policies, regions_of(areas)
    if policies is None:
        raise ValueError("a city without policies has no orders")
    n_never = round(policies.never_share * regions.size)
    order = np.random.default_rng([params.seed, streams.POLICIES]).permutation(regions.size)
    rows = []
    for region, rank in zip(regions, order, strict=True):
        drawn = _draw_county(policies, region_generator(params, streams.POLICIES, region))
        for name, (day, stringency) in zip(ORDERS, drawn, strict=True):
            is_never = rank < n_never and name in ORDERS[2:]
            rows.append((region, name, None if is_never else day, stringency))
    return pd.DataFrame(rows, columns=["region_geoid", "order", "ordered_on", "stringency"])


def _draw_county(policies: Policies, generator: np.random.Generator) -> list[tuple[date, float]]:
    """Return (date, stringency from then on) of each of ORDERS."""
    day = policies.first + timedelta(days=int(generator.integers(policies.stagger_days + 1)))
    spans = (policies.emergency, policies.schools, policies.stay_at_home, policies.reopened)
    waits = (policies.gap_days, policies.gap_days, policies.hold_days, policies.gap_days)
    drawn = []
    for span, (least, most) in zip(spans, waits, strict=True):
        drawn.append((day, round(float(generator.uniform(*span)), 2)))
        day += timedelta(days=int(generator.integers(least, most + 1)))
    return drawn


def simulate_policies(params: CityParams, areas: Areas) -> pd.DataFrame:
    """Return the stringency of every county on every date of the series: region_geoid, date, stringency (0 to 100)."""
    orders, dates = simulate_orders(params, areas), series_dates(params)
    given = orders.dropna(subset="ordered_on")
    parts = []
    for region, mine in given.groupby("region_geoid", sort=True):
        latest = np.searchsorted(
            [day.toordinal() for day in mine["ordered_on"]], [d.toordinal() for d in dates], "right"
        )
        level = np.concatenate([[0.0], mine["stringency"].to_numpy()])[latest]
        parts.append(pd.DataFrame({"region_geoid": region, "date": dates, "stringency": level}))
    return pd.concat(parts, ignore_index=True)
