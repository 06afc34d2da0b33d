"""`gyration`: how far a device ranges about the centre of its visits, per window."""

from typing import Literal

import numpy as np
import pandas as pd

from data_contracts import GYRATION, VISITS
from pipeline.kernels.gyration import radius_of_gyration
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, visits_by_window


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
    found = visits_by_window(visits, kind, study, params)

    def radius(weight: np.ndarray | None) -> np.ndarray:
        lon, lat = found.visits["lon"].to_numpy(), found.visits["lat"].to_numpy()
        return radius_of_gyration(
            found.start, lon, lat, weight, params.centre_weights, params.centre_space, found.place
        )

    return pd.DataFrame(
        {
            **found.columns,
            "gyration_m": radius(None),
            "gyration_dwell_m": radius(found.visits["dwell_s"].to_numpy()),
        }
    )
