"""`gyration`: how far a device ranges about the centre of its visits, per window."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import GYRATION, VISITS
from pipeline.kernels.gyration import radius_of_gyration
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
    dwell_s = found.visits["dwell_s"].to_numpy()
    every = np.ones(len(found.visits), bool)
    gyration_m = _radius(found, None, every, params)
    k_gyration_m = _radius(found, None, _is_main(found, np.ones(dwell_s.size), params.k), params)
    return pd.DataFrame(
        {
            **found.columns,
            "gyration_m": gyration_m,
            "gyration_dwell_m": _radius(found, dwell_s, every, params),
            "k_gyration_m": k_gyration_m,
            "k_gyration_dwell_m": _radius(found, dwell_s, _is_main(found, dwell_s, params.k), params),
            "is_returner": pd.arrays.BooleanArray(k_gyration_m > gyration_m / 2, ~(gyration_m > 0)),
        }
    )


def _radius(found: VisitWindows, weight: np.ndarray | None, is_taken: np.ndarray, params: GyrationParams) -> np.ndarray:
    """Return the radius of each window over the visits taken."""
    taken_before = np.append(0, np.cumsum(is_taken))
    lon, lat = (found.visits[name].to_numpy()[is_taken] for name in ("lon", "lat"))
    weight = None if weight is None else weight[is_taken]
    start = taken_before[found.start]
    return radius_of_gyration(
        start, lon, lat, weight, params.centre_weights, params.centre_space, found.place[is_taken]
    )


def _is_main(found: VisitWindows, weight: np.ndarray, k: int) -> np.ndarray:
    """Return which visits are to the k locations of their window that weigh most; of equals, the first visited."""
    runs = found.place_start[:-1]
    # In whole microseconds sums are exact, and equals are equal in any order of summing.
    total = np.add.reduceat(np.round(weight * MICROSECONDS).astype(np.int64), runs) if runs.size else runs
    first_at = found.visits["started_at"].astype("int64").to_numpy()[runs]
    rank = rank_in_groups(found.groups_of_places(), -total, first_at)
    return np.repeat(rank <= k, np.diff(found.place_start))
