"""A ready city for the study of employment: nine months of 2020 with a lockdown and its losses of jobs.

The figures are ours: rounded so that losses look like those of the United States that spring, most
of them where guests and customers are served. Nothing is fitted to data.
"""

from datetime import date, timedelta
from typing import Any

from pipeline.simulation.events import Employment, Lockdown, Phones, Shock
from pipeline.simulation.params import CityParams

LOCKDOWN = Lockdown(start=date(2020, 3, 16), end=date(2020, 5, 15))
LOST_SHARES = {
    "11": 0.02, "21": 0.08, "22": 0.01, "23": 0.12, "31-33": 0.12, "42": 0.07, "44-45": 0.18, "48-49": 0.12,
    "51": 0.06, "52": 0.01, "53": 0.10, "54": 0.03, "55": 0.02, "56": 0.12, "61": 0.05, "62": 0.08,
    "71": 0.38, "72": 0.40, "81": 0.25, "92": 0.01,
}  # fmt: skip
"""Share of a sector's jobs lost in the first weeks of the lockdown."""
LOST_BY_WEEK = (0.35, 0.35, 0.2, 0.1)
"""How those losses spread over its weeks."""


def lockdown_shocks(lockdown: Lockdown) -> tuple[Shock, ...]:
    """Return the losses of the first weeks of a lockdown, from the Monday of its first week on.

    A shock takes its share of the jobs that are left, so that all weeks together take LOST_SHARES.
    """
    monday, before, shocks = lockdown.start - timedelta(days=lockdown.start.weekday()), 0.0, []
    for number, part in enumerate(LOST_BY_WEEK):
        shares = {naics: round(part * share / (1.0 - before * share), 6) for naics, share in LOST_SHARES.items()}
        shocks.append(Shock(week=monday + timedelta(weeks=number), shares=shares))
        before += part
    return tuple(shocks)


def employment_scenario(n_devices: int = 10_000, n_days: int = 273, **changes: Any) -> CityParams:
    """Return a city of `n_devices` people from 6 January 2020 on; `changes` replace any other parameter.

    About 50 pings a day in bursts, with silences and dark days; a lockdown from 16 March to 15 May;
    outings that fall after a loss; tracts in eight counties, richer and poorer. In the poorer more jobs are lost and
    fewer phones report, so that a panel must be weighted; phones are now and then left at home for weeks or for good.
    """
    fields: dict[str, Any] = {
        "pings_per_day": 50.0,
        "silences_per_day": 1.5,
        "dark_day_share": 0.05,
        "n_counties": 8,
        "employment": Employment(
            sector_tilt=0.6,
            loss_tilt=0.5,
            usual_weekly_loss=0.0025,
            shocks=lockdown_shocks(LOCKDOWN),
            spell_days=84.0,
            spell_log_spread=0.9,
            recall_share=0.6,
            loss_outgoing=0.75,
            loss_outgoing_per_month=0.92,
            loss_outgoing_floor=0.3,
        ),
        "lockdown": LOCKDOWN,
        "phones": Phones(share=0.7, tilt=1.5, weekly_stop=0.006),
    }
    return CityParams(n_devices=n_devices, n_days=n_days, **(fields | changes))
