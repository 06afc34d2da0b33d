"""`capacity`: how many locations a device is familiar with, week by week."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import CAPACITY, VISITS
from pipeline.kernels.capacity import count_familiar
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.weekdays import WEEK_DAYS
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import monday_of, to_dates, to_days, window_starts


class CapacityParams(Params):
    """When a location is familiar. The rule is recalled, unverified, from work on location capacity."""

    window_weeks: int = Field(default=10, ge=1)
    """Weeks looked back over, the present one included. Ours: the 20 recalled from the original would, with a job
    loss in the middle of a panel of nine months, never hold weeks of one side of it alone."""
    min_visits: int = Field(default=2, ge=1)
    """Visits to the location in those weeks (recalled, unverified)."""
    min_dwell_min_per_week: float = Field(default=10.0, ge=0)
    """Minutes a week spent there on average (recalled, unverified)."""
    mean_over: Literal["seen", "all"] = "seen"
    """Weeks that the average is taken over. "seen" (ours): those with any visit of the device, since a phone that is
    off says nothing; "all": every week of the window, so that counts are low until the window has filled."""


@stage(reads=(VISITS,), writes=CAPACITY, params=CapacityParams, needs=("study",))
def capacity(visits: pd.DataFrame, study: Study, params: CapacityParams) -> pd.DataFrame:
    """Return familiar locations per device and week, and how many were added and dropped.

    Familiar: visited often and long enough in the weeks up to and with this one
    (`kernels.capacity.count_familiar`). A visit counts whole in the week in which it starts.
    """
    visits = visits.assign(window_started=window_starts(visits["date"], "week", study.start))
    visits = visits.sort_values(["device_id", "window_started"], kind="stable", ignore_index=True)
    device = visits["device_id"].to_numpy()
    start = group_starts(device)
    found = count_familiar(
        start,
        visits["location_id"].to_numpy().astype(np.int64),
        to_days(visits["window_started"]) // WEEK_DAYS,
        np.round(visits["dwell_s"].to_numpy() * 1e6).astype(np.int64),
        params.window_weeks,
        params.min_visits,
        round(params.min_dwell_min_per_week * 60e6),
        params.mean_over == "seen",
    )
    return pd.DataFrame(
        {
            "device_id": device[start[:-1]][found.device],
            "window_started": _mondays(found.week),
            "n_familiar": found.n_familiar,
            "n_added": found.n_added,
            "n_dropped": found.n_dropped,
        }
    )


def _mondays(week: np.ndarray) -> np.ndarray:
    """Return the Monday of each week, numbered by the days from 1970 to its Monday over 7, rounded down."""
    return to_dates(monday_of((week + 1) * WEEK_DAYS))
