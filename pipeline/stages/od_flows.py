"""`od_flows`: how many trips lead from area to area, by window and hour of the day."""

from itertools import product

import pandas as pd
from pydantic import Field

from data_contracts import OD_FLOWS, TRIPS
from pipeline.area_cells import AreaWindowParams, areas_of, count_cells
from pipeline.cell_suppression import hide_differences
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.sums import from_fixed, group_sums, to_fixed
from pipeline.windows import window_starts

KEY = list(OD_FLOWS.key)
ENDS = ["origin_area", "destination_area"]
HOUR = "day_hour"
SIDES = [*ENDS, HOUR]
SUMS = ["fixed", "n_rows", "n_devices"]
UNIT_M = 1e6
"""Unit of sums of distances: a thousand million trips of 12 km fit fixed point, and each is right to a millimetre."""
DAY_HOURS = 24
MIN_DEVICES = OD_FLOWS.min_devices or 0


class OdFlowParams(AreaWindowParams):
    """Which trips count, and what they are counted by."""

    max_duration_s: float = Field(default=86_400.0, gt=0)
    """Longer trips are left out: over so long a silence a device may have been anywhere (ours)."""
    trips_within_areas: bool = True
    """Whether trips that end in the area in which they start count (ours)."""
    hours: bool = False
    """Whether trips are also told by local hour of arrival (ours)."""


def _finish(parts: pd.DataFrame, study: Study, params: OdFlowParams) -> pd.DataFrame:
    """Return the flows of all buckets, without those that would tell of few devices beside a margin."""
    sums = group_sums(parts, KEY, SUMS)
    distance_m = from_fixed(sums["fixed"]) / sums["n_rows"] * UNIT_M
    flows = sums.rename(columns={"n_rows": "n_trips"}).assign(distance_mean_m=distance_m)[OD_FLOWS.names]
    return hide_differences(flows, SIDES, "n_trips", MIN_DEVICES)


@stage(reads=(TRIPS,), writes=OD_FLOWS, params=OdFlowParams, needs=("study",), finish=_finish)
def od_flows(trips: pd.DataFrame, study: Study, params: OdFlowParams) -> pd.DataFrame:
    """Return the trips of a bucket by origin, destination, window and hour, margins included: a part of the table.

    A trip counts in the window and the hour of its arrival, whole. Unlike a flow of scikit-mobility, which is between
    places of rows that follow each other however long after, a trip too long is none.
    """
    rows = _counted(trips, params)
    sides = [(True, False), (True, False), (True, False) if params.hours else (True,)]
    margins = [tuple(name for name, is_all in zip(SIDES, side, strict=True) if is_all) for side in product(*sides)]
    found = []
    for kind in params.windows:
        rows = rows.assign(window=kind, window_started=window_starts(rows["date"], kind, study.start))
        rows = rows.astype({"window": "str"})
        found += [count_cells(rows, KEY, margin, ["fixed"]) for margin in margins]
    return pd.concat(found, ignore_index=True)


def _counted(trips: pd.DataFrame, params: OdFlowParams) -> pd.DataFrame:
    """Return what counts of each trip that does: device, areas, date, hour and distance in fixed point."""
    rows = trips[trips["duration_s"] <= params.max_duration_s]
    ends = {
        f"{end}_area": areas_of(rows[f"{end}_lon"], rows[f"{end}_lat"], rows[f"{end}_tract_geoid"], params)
        for end in ("origin", "destination")
    }
    rows = rows[["device_id", "date", "hour_of_week"]].assign(**ends, fixed=to_fixed(rows["distance_m"] / UNIT_M))
    rows = rows.dropna(subset=ENDS)
    if not params.trips_within_areas:
        rows = rows[rows[ENDS[0]] != rows[ENDS[1]]]
    hour = (rows["hour_of_week"] % DAY_HOURS).astype("str").str.zfill(2)
    return rows.assign(**{HOUR: hour}).reset_index(drop=True)
