"""`coverage`: how much of each device's local days was observed. It selects the panel and gives weights."""

import numpy as np
import pandas as pd

from data_contracts import COVERAGE, OPEN_DAYS, PINGS
from pipeline.params import NoParams
from pipeline.stage import stage

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@stage(reads=(PINGS,), writes=COVERAGE, carries=OPEN_DAYS, needs=("day_end", "is_last"))
def coverage(
    pings: pd.DataFrame, open_days: pd.DataFrame, day_end: pd.Timestamp, is_last: bool, params: NoParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return pings and observed hours of each device × local day that is over, and the days still open.

    A clock hour is observed when it holds a ping. Hours are those of UTC, so that they never straddle
    the UTC dates in which pings are kept; where local midnight falls inside one (zones at half hours)
    it counts for both days. A local day is over once no later UTC date can reach it: local time is
    less than a day behind UTC, so that is the end of the UTC date after it.
    The definition is ours.
    """
    days = pd.concat([open_days, _count_days(pings)]).groupby(["device_id", "date"], as_index=False, sort=True)
    counted = days.agg({"n_pings": "sum", "hours_observed": "sum"})
    counted["hours_observed"] = counted["hours_observed"].astype("int8")
    utc_date = day_end.tz_localize(None).floor("D") - pd.Timedelta(days=1)
    is_over = (counted["date"] < utc_date) | is_last
    return counted[is_over], counted[~is_over]


def _count_days(pings: pd.DataFrame) -> pd.DataFrame:
    """Return pings and observed UTC hours of each device × local date in the pings of one UTC date."""
    at = pings["tracked_at"].astype("int64").to_numpy()
    device, hour = pings["device_id"].to_numpy(), at // HOUR_US
    local_day = (at + pings["utc_offset_s"].to_numpy().astype(np.int64) * 1_000_000) // DAY_US
    is_first = np.ones(at.size, dtype=bool)
    is_first[1:] = (device[1:] != device[:-1]) | (hour[1:] != hour[:-1]) | (local_day[1:] != local_day[:-1])
    starts = np.flatnonzero(is_first)
    runs = pd.DataFrame(
        {
            "device_id": device[starts],
            "date": local_day[starts].astype("datetime64[D]").astype("datetime64[ms]"),
            "hour": hour[starts],
            "n_pings": np.diff(np.append(starts, at.size)),
        }
    )
    hours = runs.groupby(["device_id", "date", "hour"], as_index=False, sort=False)["n_pings"].sum()
    return hours.groupby(["device_id", "date"], as_index=False, sort=False).agg(
        n_pings=("n_pings", "sum"), hours_observed=("hour", "size")
    )
