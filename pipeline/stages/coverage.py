"""`coverage`: how much of each device's local days was observed. It selects the panel and gives weights."""

import numpy as np
import pandas as pd

from data_contracts import COVERAGE, OPEN_DAYS, PINGS
from pipeline.kernels.grouping import group_starts
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
    today = _count_days(pings)
    every = [np.concatenate([open_days[name].to_numpy(), column]) for name, column in today.items()]
    order, start = _groups(*every[:2])
    device_id, date, n_pings, hours = (column[order] for column in every)
    counted = pd.DataFrame(
        {
            "device_id": device_id[start],
            "date": date[start],
            "n_pings": np.add.reduceat(n_pings, start),
            "hours_observed": np.add.reduceat(hours, start).astype("int8"),
        }
    )
    utc_date = day_end.tz_localize(None).floor("D") - pd.Timedelta(days=1)
    is_over = (counted["date"] < utc_date) | is_last
    return counted[is_over], counted[~is_over]


def _count_days(pings: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return pings and observed UTC hours of each device × local date in the pings of one UTC date, as columns.

    In plain arrays: grouping frames costs some ten milliseconds whatever the number of rows, and there is a shard for
    every date and bucket.
    """
    at = pings["tracked_at"].astype("int64").to_numpy()
    device, hour = pings["device_id"].to_numpy(), at // HOUR_US
    local_day = (at + pings["utc_offset_s"].to_numpy().astype(np.int64) * 1_000_000) // DAY_US
    bounds = group_starts(device, local_day, hour)
    runs, n_pings = bounds[:-1], np.diff(bounds)
    # A device whose offset changes within an hour comes back to a local date and hour it has left.
    order, start = _groups(device[runs], local_day[runs], hour[runs])
    row = runs[order][start]
    days = group_starts(device[row], local_day[row])
    return {
        "device_id": device[row][days[:-1]],
        "date": local_day[row][days[:-1]].astype("datetime64[D]").astype("datetime64[ms]"),
        "n_pings": np.add.reduceat(np.add.reduceat(n_pings[order], start), days[:-1]),
        "hours_observed": np.diff(days),
    }


def _groups(*keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of rows by some keys, and where each group of equal ones begins in it."""
    order = np.lexsort(keys[::-1])
    return order, group_starts(*(key[order] for key in keys))[:-1]
