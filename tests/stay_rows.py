"""Frames of stays made by hand, as a stage receives them: material for the tests of locations and visits."""

import numpy as np
import pandas as pd

from data_contracts import STAYS, TABLES, conform
from pipeline.stages.locations import LocationParams, locations
from pipeline.stages.visits import VisitParams, visits

MONDAY_S = 1_704_067_200
"""2024-01-01 00:00 UTC, a Monday."""
LAT0, LON0 = 40.0, -74.0
METRE_LAT = 180 / np.pi / 6_371_000
"""Degrees of latitude in a metre."""
MINUTE = 60


def make_stays(rows, device_id=1, utc_offset_s=0):
    """Stays from (start minute, finish minute, metres north of the origin, is inferred)."""
    start, finish, north_m, is_inferred = (np.array(column) for column in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "device_id": np.full(start.size, device_id),
            "started_at": as_times(MONDAY_S + start * MINUTE),
            "finished_at": as_times(MONDAY_S + finish * MINUTE),
            "lon": np.full(start.size, LON0),
            "lat": LAT0 + north_m * METRE_LAT,
            "utc_offset_s": np.full(start.size, utc_offset_s, np.int32),
            "n_pings": np.where(is_inferred, 2, 10),
            "max_gap_s": np.where(is_inferred, (finish - start) * 60.0, 120.0),
            "is_inferred": is_inferred.astype(bool),
        }
    )[STAYS.names]


def as_times(seconds):
    return pd.DatetimeIndex((np.asarray(seconds) * 1e6).astype("datetime64[us]"), tz="UTC")


def empty(name):
    """An empty frame of a table, as the engine hands it over."""
    return TABLES[name].schema.empty_table().to_pandas(date_as_object=False)


def through_contract(frame, name):
    """A stage's frame as the next stage reads it: checked, written as arrow, read back."""
    import pyarrow as pa

    data = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    return conform(data, TABLES[name]).to_pandas(date_as_object=False)


def places_and_visits(stays, tracts=None, pois=None, location_params=None, visit_params=None):
    """Locations and visits of stays, both through their contracts."""
    tracts = empty("tracts") if tracts is None else tracts
    pois = empty("pois") if pois is None else pois
    found = through_contract(locations(stays, tracts, LocationParams(**(location_params or {}))), "locations")
    return found, through_contract(visits(stays, found, pois, VisitParams(**(visit_params or {}))), "visits")
