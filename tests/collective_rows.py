"""Frames of trips and visits made by hand for the collective measures, and stages run on some buckets of them."""

from datetime import date

import numpy as np
import pandas as pd

from pipeline.study import Study
from tests.employment_rows import MONDAY, home_work_row
from tests.stay_rows import as_times, empty, through_contract

STUDY = Study(name="flows", start="2020-01-06", end="2020-01-31", zone="UTC", sources=())
FIRST_S = MONDAY.astype("datetime64[s]").astype(np.int64)


def make_trips(rows):
    """TRIPS from (device, origin area, destination area, day, hour, metres[, seconds]); a missing area is None."""
    rows = sorted((*row, 600.0)[:7] for row in rows)
    finish = [FIRST_S + 86_400 * day + 3600 * hour + k for k, (_, _, _, day, hour, _, _) in enumerate(rows)]
    frame = empty("trips").reindex(range(len(rows)))
    frame = frame.assign(
        device_id=np.array([row[0] for row in rows], np.int64),
        finished_at=as_times(finish),
        started_at=as_times([f - row[6] for f, row in zip(finish, rows, strict=True)]),
        date=pd.Series([MONDAY + np.timedelta64(row[3], "D") for row in rows], dtype="datetime64[ms]"),
        hour_of_week=np.array([24 * (row[3] % 7) + row[4] for row in rows], np.int16),
        duration_s=np.array([row[6] for row in rows], float),
        distance_m=np.array([row[5] for row in rows], float),
        **dict.fromkeys(("origin_location_id", "destination_location_id"), np.int32(0)),
        **dict.fromkeys(("origin_lon", "origin_lat", "destination_lon", "destination_lat"), 0.0),
        origin_tract_geoid=pd.Series([row[1] for row in rows], dtype="str"),
        destination_tract_geoid=pd.Series([row[2] for row in rows], dtype="str"),
    )
    return through_contract(frame.sort_values(["device_id", "finished_at"], ignore_index=True), "trips")


def make_homes(homes):
    """HOME_WORK with a baseline home for {device: area}."""
    rows = [home_work_row("home", 0, "baseline", device_id=who, tract_geoid=area) for who, area in homes.items()]
    if not rows:
        return empty("home_work")
    frame = pd.DataFrame(rows).astype({"tract_geoid": "str", "location_id": "int32"})
    return through_contract(frame.sort_values("device_id", ignore_index=True), "home_work")


def buckets_of(frame, n_buckets):
    return [frame[frame["device_id"] % n_buckets == b].reset_index(drop=True) for b in range(n_buckets)]


def together(parts):
    """Parts as the engine puts them together: empty ones are left out."""
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def windows_of(kinds):
    """A function from a day since MONDAY to its windows (kind, first date)."""

    def of(day):
        at = date.fromordinal(date(2020, 1, 6).toordinal() + day)
        monday = date.fromordinal(at.toordinal() - at.weekday())
        starts = {"study": date(2020, 1, 6), "month": at.replace(day=1), "week": monday, "day": at}
        return [(kind, starts[kind]) for kind in kinds]

    return of
