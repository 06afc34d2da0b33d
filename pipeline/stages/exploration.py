"""`exploration`: how many places a device visits, and how many of them for the first time, per window."""

import numpy as np
import pandas as pd

from data_contracts import EXPLORATION, VISITS
from pipeline.kernels.exploration import explore
from pipeline.kernels.grouping import group_starts
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, to_days, visits_by_window

MANY_DAYS = 2**20
"""More days than any study has."""


@stage(reads=(VISITS,), writes=EXPLORATION, params=WindowParams, needs=("study",))
def exploration(visits: pd.DataFrame, study: Study, params: WindowParams) -> pd.DataFrame:
    """Return visits, distinct locations, new locations and S(t) per device and window.

    New means never visited before in the study; S(t) is the number of distinct locations from the
    study's start to the window's end. New locations of all windows of a kind sum to the distinct ones;
    not those of sliding windows, which overlap.
    """
    # A traveller's local date may step back: dates are kept in order, time within them.
    visits = visits.sort_values(["device_id", "date", "started_at"], kind="stable", ignore_index=True)
    start = group_starts(visits["device_id"].to_numpy())
    place = visits["location_id"].to_numpy().astype(np.int64)
    visits = visits.assign(is_new=explore(start, place, to_days(visits["date"])).is_new)
    return pd.concat([_of_windows(visits, kind, study, params) for kind in params.windows]).sort_values(
        list(EXPLORATION.key), ignore_index=True
    )


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, params: WindowParams) -> pd.DataFrame:
    found = visits_by_window(visits, kind, study, params)
    is_new = found.visits["is_new"].to_numpy()
    counts = pd.DataFrame(found.columns).assign(
        n_new_locations=np.add.reduceat(is_new.astype(np.int64), found.start[:-1])
    )
    return counts.assign(n_locations_so_far=_so_far(visits, counts, kind, params))


def _so_far(visits: pd.DataFrame, counts: pd.DataFrame, kind: WindowKind, params: WindowParams) -> np.ndarray:
    """Return the distinct locations from the study's start to the end of each window of `counts`."""
    by_device = counts.groupby("device_id")["n_new_locations"]
    if kind != "sliding":
        return by_device.cumsum().to_numpy()
    new = visits[visits["is_new"]]
    first_day = to_days(visits["date"]).min(initial=MANY_DAYS)
    devices = visits["device_id"].drop_duplicates().to_numpy()
    key = np.searchsorted(devices, new["device_id"].to_numpy()) * MANY_DAYS + to_days(new["date"]) - first_day
    owner = np.searchsorted(devices, counts["device_id"].to_numpy()) * MANY_DAYS
    ends = to_days(counts["window_started"]) + params.sliding_days - first_day
    return np.searchsorted(key, owner + ends) - np.searchsorted(key, owner)
