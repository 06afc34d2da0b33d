"""`device_days`: how far a device went on a local day, about what centre, and how much of the day was observed."""

import numpy as np
import pandas as pd

from data_contracts import COVERAGE, DEVICE_DAYS, VISITS
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.gyration import radius_of_gyration
from pipeline.kernels.moves import jump_lengths
from pipeline.kernels.presence import DayPieces
from pipeline.params import NoParams
from pipeline.stage import stage
from pipeline.visit_days import SECOND_US, day_pieces
from pipeline.windows import to_dates

KEY = list(DEVICE_DAYS.key)
NOTHING = {"n_visits": 0, "n_locations": 0, "dwell_s": 0.0, "distance_m": 0.0}


@stage(reads=(COVERAGE, VISITS), writes=DEVICE_DAYS)
def device_days(coverage: pd.DataFrame, visits: pd.DataFrame, params: NoParams) -> pd.DataFrame:
    """Return visits, places, time, way and radius of gyration of each device × local day with a ping.

    Way is that from place to place, great-circle: the leg between two visits, however long the silence between them,
    counts on the day on which the second starts. The radius of gyration weighs each place by the time spent there on
    the day (`kernels.gyration.radius_of_gyration`), so that a day at home has one of 0. A day without a place, but
    with pings, has no radius. Days without a ping have no row, even when a visit goes on through them: nobody knows.
    The definitions are ours.
    """
    pieces = day_pieces(visits)
    days = pd.concat([_legs(visits, pieces), _places(visits, pieces)], axis=1)
    found = coverage[[*KEY, "hours_observed"]].merge(days.reset_index(), on=KEY, how="left")
    return (
        found.fillna(NOTHING)
        .astype({"n_visits": "int64", "n_locations": "int64"})
        .sort_values(KEY, ignore_index=True)[DEVICE_DAYS.names]
    )


def _legs(visits: pd.DataFrame, pieces: DayPieces) -> pd.DataFrame:
    """Return visits that start and metres of legs that end, by device and day."""
    device = visits["device_id"].to_numpy()
    start = group_starts(device)
    leg_m = jump_lengths(start, *(visits[name].to_numpy() for name in ("lon", "lat")))
    leg_m[start[:-1]] = 0.0
    first = pieces.day[np.diff(pieces.row, prepend=-1) > 0]
    rows = pd.DataFrame({"device_id": device, "date": to_dates(first), "distance_m": leg_m, "n_visits": 1})
    return rows.groupby(KEY, sort=True).sum()


def _places(visits: pd.DataFrame, pieces: DayPieces) -> pd.DataFrame:
    """Return places, seconds and radius of gyration by device and day."""
    names = ["device_id", "location_id", "lon", "lat"]
    spent_us = pieces.finish_us - pieces.start_us
    rows = visits[names].iloc[pieces.row].assign(day=pieces.day, spent_us=spent_us)
    by_place = ["device_id", "day", "location_id"]
    places = rows.groupby(by_place, as_index=False, sort=True).agg(
        lon=("lon", "first"), lat=("lat", "first"), spent_us=("spent_us", "sum")
    )
    device, day = places["device_id"].to_numpy(), places["day"].to_numpy()
    start = group_starts(device, day)
    lon, lat, weight = (places[name].to_numpy().astype(np.float64) for name in ("lon", "lat", "spent_us"))
    index = pd.MultiIndex.from_arrays([device[start[:-1]], to_dates(day[start[:-1]])], names=KEY)
    return pd.DataFrame(
        {
            "n_locations": np.diff(start),
            "dwell_s": np.add.reduceat(places["spent_us"].to_numpy(), start[:-1]) / SECOND_US if len(places) else [],
            "gyration_m": radius_of_gyration(start, lon, lat, weight),
        },
        index=index,
    )
