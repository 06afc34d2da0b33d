"""`gyration`: how far a device ranges about the centre of its visits, per window."""

from typing import Literal

import numpy as np
import pandas as pd

from data_contracts import GYRATION, VISITS
from pipeline.kernels.gyration import radius_of_gyration
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, group_starts, window_starts


class GyrationParams(WindowParams):
    """How the radius of gyration is taken."""

    centre_weights: Literal["weighted", "unweighted"] = "weighted"
    """Centre by the same weights as the radius, or the mean of distinct locations (Centellegher's notebook)."""
    centre_space: Literal["sphere", "degrees"] = "sphere"
    """Mean on the sphere, or plain mean of degrees: the latter only to reproduce scikit-mobility."""


@stage(reads=(VISITS,), writes=GYRATION, params=GyrationParams, needs=("study",))
def gyration(visits: pd.DataFrame, study: Study, params: GyrationParams) -> pd.DataFrame:
    """Return the radius of gyration per device and window, by visits and by time spent, in metres.

    The root mean square great-circle distance of the visits' locations to their centre
    (`kernels.gyration.radius_of_gyration`), each visit weighing one, or its dwell.
    """
    return pd.concat([_of_windows(visits, kind, study, params) for kind in params.windows]).sort_values(
        list(GYRATION.key), ignore_index=True
    )


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, params: GyrationParams) -> pd.DataFrame:
    visits = visits.assign(window_started=window_starts(visits["date"], kind, study.start))
    visits = visits.sort_values(["device_id", "window_started", "location_id"], kind="stable", ignore_index=True)
    device, window = visits["device_id"].to_numpy(), visits["window_started"].to_numpy()
    place = visits["location_id"].to_numpy().astype(np.int64)
    start = group_starts(device, window)
    place_start = group_starts(device, window, place)[:-1]

    def radius(weight: np.ndarray | None) -> np.ndarray:
        lon, lat = visits["lon"].to_numpy(), visits["lat"].to_numpy()
        return radius_of_gyration(start, lon, lat, weight, params.centre_weights, params.centre_space, place)

    return pd.DataFrame(
        {
            "device_id": device[start[:-1]],
            "window": pd.Series([kind] * (start.size - 1), dtype="str"),
            "window_started": window[start[:-1]],
            "n_visits": np.diff(start),
            "n_locations": np.diff(np.searchsorted(place_start, start)),
            "gyration_m": radius(None),
            "gyration_dwell_m": radius(visits["dwell_s"].to_numpy()),
        }
    )
