"""A ready city for the study of policies: four months of 2020 in which people answer to orders and deaths.

The figures are ours; nothing is fitted to data.
"""

from datetime import date
from typing import Any

from pipeline.simulation.npi_params import Households, Outbreak, Policies, Response
from pipeline.simulation.params import CityParams

FIRST_ORDER = date(2020, 2, 17)
"""Earliest date of an order: all before it is baseline."""
FIRST_INFECTION = date(2020, 1, 25)
"""Deaths follow weeks later, so that there is none in the baseline."""


def npi_scenario(n_devices: int = 2_000, n_days: int = 120, **changes: Any) -> CityParams:
    """Return a city of `n_devices` people from 6 January 2020 on; `changes` replace any other parameter.

    Twelve counties with orders at dates and strengths of their own, an epidemic in each, and shared homes. The stricter
    and the more severe it is the fewer outings and days at work people keep; the longer it lasts, the more again. About
    72 pings a day two by two, so that most waking hours have one, with silences and dark days.
    """
    fields: dict[str, Any] = {
        "pings_per_day": 72.0,
        "rate_log_spread": 0.5,
        "burst_pings": 2.0,
        "silences_per_day": 1.5,
        "dark_day_share": 0.05,
        "n_counties": 12,
        "n_tracts": 240,
        "population": 2_000_000,
        "households": Households(),
        "policies": Policies(first=FIRST_ORDER),
        "outbreak": Outbreak(first=FIRST_INFECTION),
        "response": Response(work=0.5),
    }
    return CityParams(n_devices=n_devices, n_days=n_days, **(fields | changes))
