"""`trips`: the ways of a device from one visit to the next."""

import numpy as np
import pandas as pd

from data_contracts import TRIPS, VISITS
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.moves import jump_lengths
from pipeline.params import NoParams
from pipeline.stage import stage

OF_AN_END = ("location_id", "lon", "lat", "tract_geoid")


@stage(reads=(VISITS,), writes=TRIPS)
def trips(visits: pd.DataFrame, params: NoParams) -> pd.DataFrame:
    """Return a row for each two visits of a device that follow each other, with where it left and where it arrived.

    Trips are what lies between visits, as in trackintel, whose trips are made of moves observed; ours need none, since
    pings are too rare on the way. A device with n visits has n - 1 trips.
    """
    device = visits["device_id"].to_numpy()
    jump_m = jump_lengths(group_starts(device), visits["lon"].to_numpy(), visits["lat"].to_numpy())
    before = np.flatnonzero(device[1:] == device[:-1])
    left, arrived = visits.iloc[before].reset_index(drop=True), visits.iloc[before + 1].reset_index(drop=True)
    ends = {
        f"{end}_{name}": rows[name] for name in OF_AN_END for end, rows in (("origin", left), ("destination", arrived))
    }
    found = arrived[["device_id", "date", "hour_of_week"]].assign(
        started_at=left["finished_at"],
        finished_at=arrived["started_at"],
        duration_s=(arrived["started_at"] - left["finished_at"]).dt.total_seconds(),
        distance_m=jump_m[before + 1],
        **ends,
    )
    return found[TRIPS.names]
