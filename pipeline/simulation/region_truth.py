"""What all people of a city really did, by county and day: what `region_day` would say if every phone were seen."""

import numpy as np
import pandas as pd

from pipeline.simulation.bucket import draw_lives
from pipeline.simulation.city import CATEGORIES
from pipeline.simulation.clock import DAY_S, offset_at
from pipeline.simulation.ground import Ground
from pipeline.simulation.npi_files import PRIVATE
from pipeline.simulation.params import CityParams
from pipeline.simulation.policies import counties_of
from pipeline.simulation.schedules import ERRAND, HOME, WORK
from pipeline.simulation.truth import Lives


def true_region_day(params: CityParams, ground: Ground | None = None) -> pd.DataFrame:
    """Return visits of everybody by county, local date and measure, without drawing a ping: the columns of REGION_DAY.

    Measures: visits, visits:home, visits:work, visits:venue, visits:other, visits:venue:<category>. A visit is of the
    date on which it starts; dates without any have a total of 0.
    """
    lives = draw_lives(params, 0, 1, ground)
    regions, county = np.unique(counties_of(lives.areas), return_inverse=True)
    home = county[lives.people.area]
    n_people = np.bincount(home, minlength=regions.size)
    row = np.repeat(home, np.diff(lives.diaries.first)) * params.n_days + _days(lives)
    is_in = lives.diaries.started_s < lives.clock.closed_s
    dates = pd.date_range(params.start, periods=params.n_days, unit="s")
    parts = []
    for measure, is_of in _measures(lives):
        total = np.bincount(row[is_in & is_of], minlength=regions.size * params.n_days)
        parts.append(
            pd.DataFrame(
                {
                    "region_geoid": np.repeat(regions, params.n_days),
                    "axis": "all",
                    "group": "all",
                    "date": np.tile(dates, regions.size),
                    "measure": measure,
                    "n_devices": np.repeat(n_people, params.n_days),
                    "total": total.astype(np.float64),
                }
            )
        )
    found = pd.concat(parts, ignore_index=True)
    found = found[found["n_devices"] > 0]
    return found.sort_values(["region_geoid", "date", "measure"], ignore_index=True)


def _days(lives: Lives) -> np.ndarray:
    """Return the local day, counted from the study's first, on which each stay starts."""
    clock, started_s = lives.clock, lives.diaries.started_s
    local_s = started_s + clock.offsets_s[np.searchsorted(clock.changes_s, started_s, side="right") - 1]
    return (local_s - clock.opened_s - offset_at(clock, clock.opened_s)) // DAY_S


def _measures(lives: Lives) -> list[tuple[str, np.ndarray]]:
    """Return which stays each measure counts."""
    purpose, place = lives.diaries.purpose, lives.diaries.place
    is_errand = purpose == ERRAND
    category = np.full(place.size, -1)
    category[is_errand] = lives.city.place_category[place[is_errand]]
    names = [kind.name for kind in CATEGORIES]
    is_private = category == names.index(PRIVATE)
    kinds = [
        ("visits", np.ones(place.size, np.bool_)),
        ("visits:home", purpose == HOME),
        ("visits:work", purpose == WORK),
        ("visits:other", is_private),
        ("visits:venue", is_errand & ~is_private),
    ]
    venues = [(f"visits:venue:{name}", category == number) for number, name in enumerate(names) if name != PRIVATE]
    return kinds + venues
