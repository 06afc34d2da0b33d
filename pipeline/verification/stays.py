"""Stays by our kernel as scikit-mobility defines them, and by scikit-mobility: what `sojourn verify` compares."""

import math

import numpy as np
import pandas as pd

from pipeline.kernels.stays import detect_stays, no_open_stays
from pipeline.reference import Ask

ROAM_M, DWELL_S = 200.0, 600.0
"""The radius that scikit-mobility's stay_locations has by default, and half its dwell (ours: more stays to compare)."""
ASK = Ask("stay_locations", {"roam_m": ROAM_M, "dwell_s": DWELL_S, "gap_s": None})
VARIANT = 'criterion = "anchor", leaving at the first ping outside, no gap rule, more than the dwell'
REASON = (
    "ours ends a stay at its last ping inside, bridges noise and ends it at a silence; theirs measures from the first "
    "ping and ends at the first ping outside, however long after"
)


def one_ping_a_time(pings: pd.DataFrame) -> pd.DataFrame:
    """Return pings in order, one per device and time: theirs sorts by time with a sort that is not stable."""
    pings = pings.sort_values(["device_id", "tracked_at", "lon_e7", "lat_e7"])
    pings = pings.drop_duplicates(["device_id", "tracked_at"], ignore_index=True)
    return pings.assign(lon=pings["lon_e7"] / 1e7, lat=pings["lat_e7"] / 1e7)


def stays_as_theirs(pings: pd.DataFrame) -> pd.Series:
    """Return the seconds from start to leaving of each stay by their definition, by device and start."""
    found, _ = detect_stays(
        pings["device_id"].to_numpy(),
        pings["tracked_at"].astype("datetime64[us, UTC]").astype("int64").to_numpy(),
        pings["lon_e7"].to_numpy(),
        pings["lat_e7"].to_numpy(),
        no_open_stays(),
        criterion="anchor",
        centre="median",
        roam_m=ROAM_M,
        dwell_s=DWELL_S,
        gap_s=math.inf,
        leaves_at_next_ping=True,
        day_end_us=2**62,
        is_last=True,
    )
    stays = pd.DataFrame({name: getattr(found, name) for name in ("device_id", "started_at", "finished_at")})
    lasts_s = (stays["finished_at"] - stays["started_at"]) / 1e6
    return durations(stays[lasts_s > DWELL_S])


def durations(stays: pd.DataFrame) -> pd.Series:
    """Return the seconds of each stay by device and start, in microseconds; times may be times or microseconds."""
    us = {name: stays[name] for name in ("started_at", "finished_at")}
    us = {k: v.astype("datetime64[us, UTC]").astype("int64") if v.dtype != np.int64 else v for k, v in us.items()}
    index = pd.MultiIndex.from_arrays([stays["device_id"], us["started_at"]], names=["device_id", "started_us"])
    return pd.Series((us["finished_at"] - us["started_at"]).to_numpy() / 1e6, index=index)
