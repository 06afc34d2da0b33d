"""`distances`: how far a device goes, how long it waits between, and how far that is from home, per window."""

import numpy as np
import pandas as pd

from data_contracts import DISTANCES, HOME_WORK, TRIPS, VISITS
from pipeline.homes import baseline_homes
from pipeline.kernels.extent import largest_distances
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.moves import distances_from, waiting_times
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import VisitWindows, WindowKind, WindowParams, visits_by_window

POSITION = ["lon", "lat"]


@stage(reads=(VISITS, TRIPS, HOME_WORK), writes=DISTANCES, params=WindowParams, needs=("study",))
def distances(
    visits: pd.DataFrame, trips: pd.DataFrame, home_work: pd.DataFrame, study: Study, params: WindowParams
) -> pd.DataFrame:
    """Return jump lengths, waiting times, largest distance and distances from home per device and window.

    A jump is a trip, in a straight line; a waiting time is from the start of one visit to that of the next: the dwell
    of the first and the duration of the trip (as scikit-mobility's waiting_times). Both belong to the window of the
    visit they lead to. The largest distance is that between any two locations of the window (what scikit-mobility
    calls maximum_distance is the largest jump). Home is the first home of the baseline of `home_work`; distances from
    it are of the window's visits, and null for who has none.
    """
    visits = visits.assign(
        jump_m=_jumps(visits, trips), wait_s=_waits(visits), home_distance_m=_from_home(visits, home_work)
    )
    return pd.concat([_of_windows(visits, kind, study, params) for kind in params.windows]).sort_values(
        list(DISTANCES.key), ignore_index=True
    )


def _jumps(visits: pd.DataFrame, trips: pd.DataFrame) -> np.ndarray:
    """Return the length of the trip that led to each visit; NaN for a device's first."""
    device = visits["device_id"].to_numpy()
    is_led = np.append(False, device[1:] == device[:-1])[: device.size]
    arrived_us, led_us = (at.astype("int64").to_numpy() for at in (trips["finished_at"], visits["started_at"][is_led]))
    if not np.array_equal(arrived_us, led_us):
        raise ValueError("the trips are not those between the visits")
    jump_m = np.full(device.size, np.nan)
    jump_m[is_led] = trips["distance_m"].to_numpy()
    return jump_m


def _waits(visits: pd.DataFrame) -> np.ndarray:
    started_us = visits["started_at"].astype("int64").to_numpy()
    return waiting_times(group_starts(visits["device_id"].to_numpy()), started_us)


def _from_home(visits: pd.DataFrame, home_work: pd.DataFrame) -> np.ndarray:
    """Return the distance of each visit to the device's home; NaN without one."""
    places = visits[["device_id", "location_id", *POSITION]].drop_duplicates(["device_id", "location_id"])
    homes = baseline_homes(home_work)[["device_id", "location_id"]].merge(places)
    device_start = group_starts(visits["device_id"].to_numpy())
    devices = visits["device_id"].to_numpy()[device_start[:-1]]
    points = homes.set_index("device_id")[POSITION].reindex(devices)
    return distances_from(device_start, *(frame[name].to_numpy() for frame in (visits, points) for name in POSITION))


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, params: WindowParams) -> pd.DataFrame:
    found = visits_by_window(visits, kind, study, params)
    by_window = found.visits.groupby(found.groups())
    jump, wait = by_window["jump_m"], by_window["wait_s"]
    total_m, mean_m = _sum_and_mean(found, "jump_m")
    return pd.DataFrame(
        {
            **found.columns,
            "n_trips": jump.count(),
            "distance_m": total_m,
            "jump_mean_m": mean_m,
            "jump_median_m": jump.median(),
            "jump_max_m": jump.max(),
            "wait_mean_s": _sum_and_mean(found, "wait_s")[1],
            "wait_median_s": wait.median(),
            "max_distance_m": _largest(found),
            "home_distance_mean_m": _sum_and_mean(found, "home_distance_m")[1],
            "home_distance_dwell_mean_m": _mean_by_dwell(found),
            "home_distance_max_m": by_window["home_distance_m"].max(),
        }
    )


def _sum_and_mean(found: VisitWindows, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of a column and its mean in each window, missing values left out; the mean of none is NaN.

    Summed in the order of the visits: the last digit of pandas' mean of a group may hang on the other groups.
    """
    values, n = found.visits[name].to_numpy(), found.start.size - 1
    is_known = ~np.isnan(values)
    group = found.groups()[is_known]
    total, n_known = np.bincount(group, values[is_known], n), np.bincount(group, minlength=n)
    return total, np.divide(total, n_known, out=np.full(n, np.nan), where=n_known > 0)


def _largest(found: VisitWindows) -> np.ndarray:
    """Return the largest distance between two locations of each window."""
    places = found.visits.iloc[found.places.first]
    return largest_distances(found.places.start, *(places[name].to_numpy() for name in POSITION))


def _mean_by_dwell(found: VisitWindows) -> np.ndarray:
    """Return the mean distance from home of each window, each visit weighing its dwell; NaN where no time was spent."""
    dwell_s, n = found.visits["dwell_s"].to_numpy(), found.start.size - 1
    total = np.bincount(found.groups(), dwell_s * found.visits["home_distance_m"].to_numpy(), n)
    spent = np.bincount(found.groups(), dwell_s, n)
    return np.divide(total, spent, out=np.full(n, np.nan), where=spent > 0)
