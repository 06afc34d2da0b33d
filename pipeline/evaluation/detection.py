"""Stays and places of pings in memory, by the stages themselves, called as a run calls them."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

import pipeline.stages  # noqa: F401  (fills the registry)
from data_contracts import LOCATIONS, OPEN_STAYS, PINGS, STAYS, Table, conform
from pipeline.params import Params
from pipeline.stage import STAGES
from pipeline.study import Study

EPOCH = date(1970, 1, 1)
DAY_US = 86_400_000_000


def as_us(times: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return timestamps of µs as numbers."""
    return times.cast(pa.int64()).to_numpy()


def merge_by_date(rows: pa.Table, params: Mapping[str, Params]) -> dict[date, pa.Table]:
    """Return the PINGS of each UTC date, duplicates merged, from accepted rows in any order."""
    day = as_us(rows["tracked_at"]) // DAY_US
    order = np.argsort(day, kind="stable")
    days, first = np.unique(day[order], return_index=True)
    parts = zip(days, first, np.append(first[1:], order.size), strict=True)
    merge = STAGES[PINGS.name].finish
    assert merge is not None
    return {
        EPOCH + timedelta(days=int(k)): merge(rows.take(pa.array(order[a:b])).combine_chunks(), params[PINGS.name])
        for k, a, b in parts
    }


def detect_stays(rows: pa.Table, study: Study, params: Mapping[str, Params]) -> pd.DataFrame:
    """Return the STAYS of accepted rows, in the order of their key, exactly as a run over them finds them.

    The stage is called date by date and handed what the date before left open, all devices in one bucket.
    """
    stage, by_date = STAGES[STAYS.name], merge_by_date(rows, params)
    found, left = [frame_of(STAYS)], frame_of(OPEN_STAYS)
    for day in study.dates():
        if day not in by_date and left.empty:
            continue
        pings = by_date.get(day, PINGS.schema.empty_table()).to_pandas(date_as_object=False)
        facts = {
            "day_end": pd.Timestamp(day + timedelta(days=1), tz="UTC"),
            "is_last": day == study.end,
            "study": study,
        }
        stays, open_stays = stage(pings, left, *(facts[name] for name in stage.needs), params[stage.name])
        left = frame_of(OPEN_STAYS, open_stays)
        found.append(frame_of(STAYS, stays))
    return pd.concat(found, ignore_index=True).sort_values(list(STAYS.key), ignore_index=True)


def find_locations(stays: pd.DataFrame, study: Study, params: Mapping[str, Params]) -> pd.DataFrame:
    """Return the LOCATIONS of stays in the order of their key, as a run finds them without reference data."""
    stage = STAGES[LOCATIONS.name]
    reads = [stays if table is STAYS else frame_of(table) for table in stage.reads]
    facts: dict[str, Any] = {"study": study}
    places = stage(*reads, *(facts[name] for name in stage.needs), params[stage.name])
    return frame_of(LOCATIONS, places)


def place_of_stays(stays: pd.DataFrame, locations: pd.DataFrame) -> NDArray[np.int64]:
    """Return the number of each stay's place within its device, -1 for a stay that belongs to none."""
    members = locations[["device_id", "location_id", "stays_started_at"]].explode("stays_started_at")
    members = members.rename(columns={"stays_started_at": "at"}).astype("int64")
    at = stays["started_at"].astype("datetime64[us, UTC]").astype("int64")
    asked = pd.DataFrame({"device_id": stays["device_id"], "at": at})
    return asked.merge(members, on=["device_id", "at"], how="left")["location_id"].fillna(-1).to_numpy(np.int64)


def frame_of(table: Table, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a frame checked against its contract, as a run would read it back; without one, an empty one."""
    if frame is None or frame.empty:
        return table.schema.empty_table().to_pandas(date_as_object=False)
    data = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    return conform(data, table).to_pandas(date_as_object=False)
