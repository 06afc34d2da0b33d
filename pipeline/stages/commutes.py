"""`commutes`: how far home and workplace lie apart, and the ways between them."""

import pandas as pd
from pydantic import Field

from data_contracts import COMMUTES, HOME_WORK, TRIPS
from pipeline.homes import baseline_homes, baseline_workplaces
from pipeline.kernels.presence import distances_m
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, in_windows

ENDS = ("home", "work")
POSITION = ["lon", "lat"]


class CommuteParams(WindowParams):
    """Which trips are commutes."""

    max_duration_s: float = Field(default=7200.0, gt=0)
    """Longest trip (s) that is a commute (ours: 2 h). Of a longer one it is not known whether there was a stop."""


@stage(reads=(TRIPS, HOME_WORK), writes=COMMUTES, params=CommuteParams, needs=("study",))
def commutes(trips: pd.DataFrame, home_work: pd.DataFrame, study: Study, params: CommuteParams) -> pd.DataFrame:
    """Return distance of home and workplace, and trips between them, per device and window of local dates.

    Home and workplace are those of the baseline, rank 1, in all windows: who has moved since commutes no more. A device
    that lacks either has no row. A commute is one trip from the one to the other, with no visit between; ways by a
    nursery or a shop are not counted. A trip is of the window of the local date of its arrival. All of this is ours.
    """
    names = ["device_id", "date", "origin_location_id", "destination_location_id", "duration_s"]
    rows = trips[names].merge(_ends(trips, home_work), on="device_id", how="inner")
    is_short = rows["duration_s"] <= params.max_duration_s
    is_short &= rows["origin_location_id"] != rows["destination_location_id"]
    for origin, destination in (ENDS, ENDS[::-1]):
        is_way = is_short & (rows["origin_location_id"] == rows[origin])
        is_way &= rows["destination_location_id"] == rows[destination]
        rows[f"to_{destination}_s"] = rows["duration_s"].where(is_way)
    found = [_of_windows(rows, kind, study, params) for kind in params.windows]
    return pd.concat(found).sort_values(list(COMMUTES.key), ignore_index=True)[COMMUTES.names]


def _ends(trips: pd.DataFrame, home_work: pd.DataFrame) -> pd.DataFrame:
    """Return location of home and workplace, and their distance, of each device that has both and a trip."""
    names = ["device_id", "location_id"]
    homes, workplaces = baseline_homes(home_work)[names], baseline_workplaces(home_work)[names]
    ends = homes.merge(workplaces, on="device_id").set_axis(["device_id", *ENDS], axis=1)
    ends = ends[ends["device_id"].isin(trips["device_id"])].reset_index(drop=True)
    places = _places(trips[trips["device_id"].isin(ends["device_id"])])
    position = [ends[["device_id", role]].merge(places, "left", ["device_id", role])[POSITION] for role in ENDS]
    apart_m = distances_m(*(frame[name].to_numpy(float) for frame in position for name in POSITION))
    return ends.assign(home_work_distance_m=apart_m)


def _places(trips: pd.DataFrame) -> pd.DataFrame:
    """Return the position of each location of a device: every visit of a device with a trip is an end of one."""
    ends = [
        trips[["device_id", *(f"{end}_{name}" for name in ("location_id", *POSITION))]].set_axis(
            ["device_id", "location_id", *POSITION], axis=1
        )
        for end in ("origin", "destination")
    ]
    places = pd.concat(ends).drop_duplicates(["device_id", "location_id"])
    return places.assign(**dict.fromkeys(ENDS, places["location_id"]))


def _of_windows(rows: pd.DataFrame, kind: WindowKind, study: Study, params: CommuteParams) -> pd.DataFrame:
    groups = in_windows(rows, kind, study, params).groupby(["device_id", "window_started"], as_index=False, sort=True)
    found = groups.agg(
        n_trips=("duration_s", "size"),
        home_work_distance_m=("home_work_distance_m", "first"),
        n_to_work=("to_work_s", "count"),
        n_to_home=("to_home_s", "count"),
        to_work_median_s=("to_work_s", "median"),
        to_home_median_s=("to_home_s", "median"),
    )
    return found.assign(window=pd.Series([kind] * len(found), dtype="str"))
