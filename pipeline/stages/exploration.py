"""`exploration`: how many places a device visits, and how many of them for the first time, per window."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import EXPLORATION, VISITS
from pipeline.kernels.exploration import growth_exponents
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.place_counts import PlaceCounts, count_places
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import VisitWindows, WindowKind, WindowParams, by_device_and_date, to_days, visits_by_window

MANY_DAYS = 2**20
"""More days than any study has."""


class ExplorationParams(WindowParams):
    """Of which windows the growth of locations is told."""

    growth_min_visits: int = Field(default=20, ge=3)
    """Visits of a window below which it has no growth exponent (ours)."""
    growth_min_locations: int = Field(default=3, ge=1)
    """Locations of a window below which it has none (ours)."""


@stage(reads=(VISITS,), writes=EXPLORATION, params=ExplorationParams, needs=("study",))
def exploration(visits: pd.DataFrame, study: Study, params: ExplorationParams) -> pd.DataFrame:
    """Return visits, distinct locations, new locations, S(t) and how locations grow per device and window.

    New means never visited before in the study; S(t) is the number of distinct locations from the
    study's start to the window's end. New locations of all windows of a kind sum to the distinct ones;
    not those of sliding windows, which overlap. The growth exponent is that of the window's own locations with its
    visits (`kernels.exploration.growth_exponents`): with the number of the visit and not with time, which runs on
    while nothing is observed (ours).
    """
    # A traveller's local date may step back: to tell what is new, dates are kept in order, time within them.
    dated = by_device_and_date(visits, "date")
    start, place = group_starts(dated["device_id"].to_numpy()), dated["location_id"].to_numpy().astype(np.int64)
    visits = visits.assign(is_new=pd.Series(_are_first(count_places(start, place), len(dated)), dated.index))
    return pd.concat([_of_windows(visits, kind, study, params) for kind in params.windows]).sort_values(
        list(EXPLORATION.key), ignore_index=True
    )


def _are_first(places: PlaceCounts, n_visits: int) -> np.ndarray:
    """Return which visits are the first of their group to their place."""
    is_first = np.zeros(n_visits, bool)
    is_first[places.first] = True
    return is_first


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, params: ExplorationParams) -> pd.DataFrame:
    found = visits_by_window(visits, kind, study, params)
    new = found.groups()[found.visits["is_new"].to_numpy()]
    counts = pd.DataFrame(found.columns).assign(n_new_locations=np.bincount(new, minlength=found.start.size - 1))
    return counts.assign(
        n_locations_so_far=_so_far(visits, counts, kind, params), growth_exponent=_growth(found, counts, params)
    )


def _growth(found: VisitWindows, counts: pd.DataFrame, params: ExplorationParams) -> np.ndarray:
    """Return the growth exponent of each window; NaN of those with few visits or locations."""
    is_first = _are_first(found.places, len(found.visits))
    is_told = (counts["n_visits"] >= params.growth_min_visits) & (counts["n_locations"] >= params.growth_min_locations)
    return np.where(is_told, growth_exponents(found.start, is_first), np.nan)


def _so_far(visits: pd.DataFrame, counts: pd.DataFrame, kind: WindowKind, params: WindowParams) -> np.ndarray:
    """Return the distinct locations from the study's start to the end of each window of `counts`."""
    by_device = counts.groupby("device_id")["n_new_locations"]
    if kind != "sliding":
        return by_device.cumsum().to_numpy()
    new = visits[visits["is_new"]]
    first_day = to_days(visits["date"]).min(initial=MANY_DAYS)
    devices = visits["device_id"].drop_duplicates().to_numpy()
    key = np.searchsorted(devices, new["device_id"].to_numpy()) * MANY_DAYS + to_days(new["date"]) - first_day
    key.sort()
    owner = np.searchsorted(devices, counts["device_id"].to_numpy()) * MANY_DAYS
    ends = to_days(counts["window_started"]) + params.sliding_days - first_day
    return np.searchsorted(key, owner + ends) - np.searchsorted(key, owner)
