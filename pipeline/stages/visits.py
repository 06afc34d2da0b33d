"""`visits`: the stays at a location, with its area, and whether the device was ever there before."""

import pandas as pd

from data_contracts import LOCATIONS, STAYS, VISITS
from pipeline.params import NoParams
from pipeline.stage import stage


@stage(reads=(STAYS, LOCATIONS), writes=VISITS)
def visits(stays: pd.DataFrame, locations: pd.DataFrame, params: NoParams) -> pd.DataFrame:
    """Return one row per stay that belongs to a location, in time order per device.

    Positions are the location's; `date` is the local date of the start; `is_new` marks the first visit
    of the study to the location. Dwell is finish minus start, in seconds.
    """
    members = locations.drop(columns=["n_stays", "dwell_s", "first_at", "last_at", "radius_m"]).explode(
        "stays_started_at"
    )
    members = members.rename(columns={"stays_started_at": "started_at"})
    members["started_at"] = members["started_at"].astype("int64").astype("datetime64[us]").dt.tz_localize("UTC")
    joined = stays.drop(columns=["lon", "lat"]).merge(members, on=["device_id", "started_at"], validate="one_to_one")
    joined = joined.sort_values(["device_id", "started_at"], ignore_index=True)
    local = joined["started_at"].dt.tz_localize(None) + pd.to_timedelta(joined["utc_offset_s"], unit="s")
    joined["date"] = local.dt.floor("D").astype("datetime64[ms]")
    joined["dwell_s"] = (joined["finished_at"] - joined["started_at"]).dt.total_seconds()
    joined["is_new"] = ~joined.duplicated(["device_id", "location_id"])
    return joined[[c for c in VISITS.names if c in joined]]
