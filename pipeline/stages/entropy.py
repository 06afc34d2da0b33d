"""`entropy`: how unevenly a device's visits, and its time, fall on its locations, per window."""

import numpy as np
import pandas as pd

from data_contracts import ENTROPY, VISITS
from pipeline.kernels.entropy import location_entropy
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, group_starts, window_starts


@stage(reads=(VISITS,), writes=ENTROPY, params=WindowParams, needs=("study",))
def entropy(visits: pd.DataFrame, study: Study, params: WindowParams) -> pd.DataFrame:
    """Return the entropy of a device's locations per device and window, by visits and by time spent, in bits.

    H = -sum(p log2 p) over the window's locations (`kernels.entropy.location_entropy`), each visit
    weighing one, or its dwell. Over log2(n_locations) it is the normalised entropy.
    """
    return pd.concat([_of_windows(visits, kind, study) for kind in params.windows]).sort_values(
        list(ENTROPY.key), ignore_index=True
    )


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study) -> pd.DataFrame:
    visits = visits.assign(window_started=window_starts(visits["date"], kind, study.start))
    visits = visits.sort_values(["device_id", "window_started", "location_id"], kind="stable", ignore_index=True)
    device, window = visits["device_id"].to_numpy(), visits["window_started"].to_numpy()
    place = visits["location_id"].to_numpy().astype(np.int64)
    start = group_starts(device, window)
    place_start = group_starts(device, window, place)[:-1]
    return pd.DataFrame(
        {
            "device_id": device[start[:-1]],
            "window": pd.Series([kind] * (start.size - 1), dtype="str"),
            "window_started": window[start[:-1]],
            "n_visits": np.diff(start),
            "n_locations": np.diff(np.searchsorted(place_start, start)),
            "entropy_bits": location_entropy(start, place),
            "entropy_dwell_bits": location_entropy(start, place, visits["dwell_s"].to_numpy()),
        }
    )
