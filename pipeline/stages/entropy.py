"""`entropy`: how unevenly a device's visits, and its time, fall on its locations, per window."""

import pandas as pd

from data_contracts import ENTROPY, VISITS
from pipeline.kernels.entropy import location_entropy
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, visits_by_window


@stage(reads=(VISITS,), writes=ENTROPY, params=WindowParams, needs=("study",))
def entropy(visits: pd.DataFrame, study: Study, params: WindowParams) -> pd.DataFrame:
    """Return the entropy of a device's locations per device and window, by visits and by time spent, in bits.

    H = -sum(p log2 p) over the window's locations (`kernels.entropy.location_entropy`), each visit
    weighing one, or its dwell. Over log2(n_locations) it is the normalised entropy.
    """
    return pd.concat([_of_windows(visits, kind, study, params) for kind in params.windows]).sort_values(
        list(ENTROPY.key), ignore_index=True
    )


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, params: WindowParams) -> pd.DataFrame:
    found = visits_by_window(visits, kind, study, params)
    return pd.DataFrame(
        {
            **found.columns,
            "entropy_bits": location_entropy(found.start, found.place),
            "entropy_dwell_bits": location_entropy(found.start, found.place, found.visits["dwell_s"].to_numpy()),
        }
    )
