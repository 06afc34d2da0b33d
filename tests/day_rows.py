"""Frames of days of devices made by hand, as the stages about days receive them, and as their naive twins do."""

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from data_contracts import TABLES
from tests.employment_rows import MONDAY, home_work_row
from tests.stay_rows import as_times, empty, through_contract

FIRST = datetime(2020, 1, 6)
"""Local midnight of MONDAY."""


def make_day_visits(rows):
    """VISITS from (device, start in local minutes since MONDAY, minutes, location, category or None, offset in s)."""
    rows = sorted(rows)
    device, start, length, place, category, offset = (list(column) for column in zip(*rows, strict=True))
    local_s = MONDAY.astype("datetime64[s]").astype(np.int64) + 60 * np.array(start)
    utc_s = local_s - np.array(offset)
    frame = pd.DataFrame({name: np.zeros(len(rows)) for name in TABLES["visits"].names})
    return frame.assign(
        device_id=np.array(device, np.int64),
        started_at=as_times(utc_s),
        finished_at=as_times(utc_s + 60 * np.array(length)),
        date=(local_s // 86_400).astype("datetime64[D]").astype("datetime64[ms]"),
        utc_offset_s=np.array(offset, np.int32),
        location_id=np.array(place, np.int32),
        lon=[position_of(p)[0] for p in place],
        lat=[position_of(p)[1] for p in place],
        tract_geoid=pd.Series([f"{p:011d}" for p in place], dtype="str"),
        is_inferred=False,
        poi_category=pd.Series(category, dtype="str"),
    )


def position_of(place):
    """(lon, lat) in degrees of a location: places lie a kilometre or so apart near the equator."""
    return 0.01 * place, 0.001 * place * place


def naive_visits(rows):
    """The same visits as the naive twins take them."""
    return [
        {
            "device": device,
            "start": FIRST + timedelta(minutes=start),
            "finish": FIRST + timedelta(minutes=start + length),
            "location": place,
            "position": position_of(place),
            "category": category,
        }
        for device, start, length, place, category, _ in rows
    ]


def make_roles(roles):
    """HOME_WORK from (device, location, first day, last day, role), days since MONDAY, all of moving spans."""
    rows = [
        home_work_row(role, place, "moving", device_id=device, rank=1 + number, tract_geoid=None)
        | {"window_started": day_of(first), "window_finished": day_of(last)}
        for number, (device, place, first, last, role) in enumerate(roles)
    ]
    if not rows:
        return empty("home_work")
    frame = pd.DataFrame(rows).astype({"tract_geoid": "str", "location_id": "int32"})
    return through_contract(frame.sort_values(list(TABLES["home_work"].key), ignore_index=True), "home_work")


def naive_roles(roles):
    return [(device, place, as_date(first), as_date(last), role) for device, place, first, last, role in roles]


def make_day_coverage(days, hours=10):
    """COVERAGE of (device, day since MONDAY)."""
    rows = sorted(days)
    return pd.DataFrame(
        {
            "device_id": np.array([device for device, _ in rows], np.int64),
            "date": pd.Series([day_of(day) for _, day in rows], dtype="datetime64[ms]"),
            "n_pings": np.full(len(rows), 50),
            "hours_observed": np.full(len(rows), hours, np.int8),
        }
    )


def day_of(day):
    return pd.Timestamp(MONDAY + np.timedelta64(day, "D"))


def as_date(day):
    return date(2020, 1, 6) + timedelta(days=day)
