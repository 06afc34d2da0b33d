"""`gyration`: how far a device ranges about the centre of its visits, per window."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import GYRATION, VISITS
from pipeline.kernels.gyration import radius_of_gyration
from pipeline.kernels.place_counts import PlaceRows, main_places, rows_of_places
from pipeline.kernels.ranks import rank_in_groups
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import VisitWindows, WindowKind, WindowParams, visits_by_window

MICROSECONDS = 1e6


class GyrationParams(WindowParams):
    """How the radius of gyration is taken."""

    centre_weights: Literal["weighted", "unweighted"] = "weighted"
    """Centre by the same weights as the radius, or the mean of distinct locations (Centellegher's notebook)."""
    centre_space: Literal["sphere", "degrees"] = "sphere"
    """Mean on the sphere, or plain mean of degrees: the latter only to reproduce scikit-mobility."""
    k: int = Field(default=2, ge=1)
    """Locations that the k-radius is taken over (2: returners and explorers after Pappalardo 2015; recalled,
    unverified; default of scikit-mobility too)."""


@stage(reads=(VISITS,), writes=GYRATION, params=GyrationParams, needs=("study",))
def gyration(visits: pd.DataFrame, study: Study, params: GyrationParams) -> pd.DataFrame:
    """Return radius and k-radius of gyration per device and window, by visits and by time spent, in metres.

    The root mean square great-circle distance of the visits' locations to their centre
    (`kernels.gyration.radius_of_gyration`), each visit weighing one, or its dwell. The k-radius is that of the visits
    to the `k` locations with most visits, or most dwell, alone, about a centre of their own; of equals the first
    visited counts, as in scikit-mobility. Who has a k-radius of more than half the radius is a returner, else an
    explorer (after Pappalardo 2015; recalled, unverified).
    """
    return pd.concat([_of_windows(visits, kind, study, params) for kind in params.windows]).sort_values(
        list(GYRATION.key), ignore_index=True
    )


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, params: GyrationParams) -> pd.DataFrame:
    found = visits_by_window(visits, kind, study, params)
    rows = rows_of_places(found.start, found.place, found.places)
    # Of no visits at all numpy's sums are whole numbers.
    dwell_s = np.bincount(rows.at, found.visits["dwell_s"].to_numpy(), found.places.first.size).astype(np.float64)
    n_visits = found.places.n_rows.astype(np.float64)
    every = np.ones(dwell_s.size, bool)
    gyration_m = _radius(found, n_visits, every, params)
    k_gyration_m = _radius(found, n_visits, main_places(found.places, params.k), params)
    return pd.DataFrame(
        {
            **found.columns,
            "gyration_m": gyration_m,
            "gyration_dwell_m": _radius(found, dwell_s, every, params),
            "k_gyration_m": k_gyration_m,
            "k_gyration_dwell_m": _radius(found, dwell_s, _has_most_dwell(found, rows, params.k), params),
            "is_returner": pd.arrays.BooleanArray(k_gyration_m > gyration_m / 2, ~(gyration_m > 0)),
        }
    )


def _radius(found: VisitWindows, weight: np.ndarray, is_taken: np.ndarray, params: GyrationParams) -> np.ndarray:
    """Return the radius of each window over the locations taken, each once: its visits are all at its centre."""
    taken_before, first = np.append(0, np.cumsum(is_taken)), found.places.first[is_taken]
    lon, lat = (found.visits[name].to_numpy()[first] for name in ("lon", "lat"))
    start, place = taken_before[found.places.start], found.place[first]
    return radius_of_gyration(start, lon, lat, weight[is_taken], params.centre_weights, params.centre_space, place)


def _has_most_dwell(found: VisitWindows, rows: PlaceRows, k: int) -> np.ndarray:
    """Return which locations are the k of their window with most dwell; of equals, the first visited."""
    # In whole microseconds sums are exact, and equals are equal in any order of summing.
    dwell_us = np.round(found.visits["dwell_s"].to_numpy() * MICROSECONDS)
    total = np.bincount(rows.at, dwell_us, found.places.first.size)
    return rank_in_groups(found.groups_of_places(), -total) <= k
