"""`exploration`: how many places a device visits, and how many of them for the first time, per window."""

import numpy as np
import pandas as pd

from data_contracts import EXPLORATION, VISITS
from pipeline.kernels.exploration import explore
from pipeline.kernels.grouping import group_starts
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, window_starts


@stage(reads=(VISITS,), writes=EXPLORATION, params=WindowParams, needs=("study",))
def exploration(visits: pd.DataFrame, study: Study, params: WindowParams) -> pd.DataFrame:
    """Return visits, distinct locations, new locations and S(t) per device and window.

    New means never visited before in the study; S(t) is the number of distinct locations from the
    study's start to the window's end. New locations of all windows of a kind sum to the distinct ones.
    """
    return pd.concat([_of_windows(visits, kind, study) for kind in params.windows]).sort_values(
        list(EXPLORATION.key), ignore_index=True
    )


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study) -> pd.DataFrame:
    visits = visits.assign(window_started=window_starts(visits["date"], kind, study.start))
    # A traveller's local date may step back: windows are kept in order, time within them.
    visits = visits.sort_values(["device_id", "window_started", "started_at"], kind="stable", ignore_index=True)
    device = visits["device_id"].to_numpy()
    window = visits["window_started"].to_numpy().astype("datetime64[D]").astype(np.int64)
    counts = explore(group_starts(device), visits["location_id"].to_numpy().astype(np.int64), window)
    found = pd.DataFrame(
        {
            "device_id": device[group_starts(device)[:-1]][counts.device],
            "window": pd.Series([kind] * counts.window.size, dtype="str"),
            "window_started": counts.window.astype("datetime64[D]").astype("datetime64[s]"),
            "n_visits": counts.n_visits,
            "n_locations": counts.n_locations,
            "n_new_locations": counts.n_new_locations,
        }
    )
    return found.assign(n_locations_so_far=found.groupby("device_id")["n_new_locations"].cumsum())
