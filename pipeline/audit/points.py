"""Points of devices, read from any Parquet with a device, a place and a time: place × time bin, each once a device."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.audit.params import AuditParams
from pipeline.engine.files import footer_source, whole_source
from pipeline.study import StudyError

DEVICE = "device_id"
TIMES = ("tracked_at", "started_at", "finished_at", "date")
"""Columns that may say when, the first that is there: a row is one point, at its start."""
END_TIMES = {"origin": ("started_at",), "destination": ("finished_at", "date")}
"""The same of a trip: at its origin when it starts, at its destination when it ends; its date is the arrival's."""
PLACES = {"area": (("tract_geoid",),), "cell": (("lon", "lat"), ("lon_e7", "lat_e7"))}
HOUR_US = 3_600_000_000
WhenWhere = tuple[str, tuple[str, ...]]
"""A column that says when, and those that say where."""


def has_points(names: Iterable[str], params: AuditParams) -> bool:
    """Return whether columns say who was where and when."""
    names = set(names)
    return DEVICE in names and bool(_when_and_where(names, params))


def read_points(paths: Iterable[Path], params: AuditParams) -> pd.DataFrame:
    """Return `device`, `place`, `bin` of the points in Parquet files, each once: whole numbers, not the ids themselves.

    One file is in memory at a time, and of it the distinct points are kept. StudyError where columns are missing.
    """
    parts = [_points_of(path, params) for path in paths]
    found = pd.concat(parts, ignore_index=True)
    # In the order of ids and places, so that it does not matter how rows are cut into files.
    codes = {name: pd.factorize(found[name], sort=True)[0].astype(np.int64) for name in ("device", "place")}
    found = found.assign(**codes)
    return found.drop_duplicates(ignore_index=True)


def _points_of(path: Path, params: AuditParams) -> pd.DataFrame:
    names = set(pq.read_schema(footer_source(path)).names)
    found = _when_and_where(names, params)
    if DEVICE not in names or not found:
        raise StudyError(f"{path.name} lacks a column: {DEVICE}, one of {', '.join(TIMES)}, and a {params.place}")
    parts = [_points_at(path, time, place, params) for time, place in found]
    return pd.concat(parts, ignore_index=True).drop_duplicates(ignore_index=True)


def _points_at(path: Path, time: str, place: tuple[str, ...], params: AuditParams) -> pd.DataFrame:
    data = pq.read_table(whole_source(path), columns=[DEVICE, time, *place], partitioning=None).drop_null()
    return pd.DataFrame(
        {
            "device": data[DEVICE].to_pandas(),
            "place": _places(data, place, params),
            "bin": _bins(data[time], params.bin_h),
        }
    )


def _when_and_where(names: set[str], params: AuditParams) -> list[WhenWhere]:
    """Return what makes points of a row: its place at its start, or else both ends of a trip, each at its time."""
    own = _first_pair(names, TIMES, PLACES[params.place])
    if own:
        return [own]
    ends = [
        _first_pair(names, times, tuple(tuple(f"{end}_{name}" for name in place) for place in PLACES[params.place]))
        for end, times in END_TIMES.items()
    ]
    return [pair for pair in ends if pair]


def _first_pair(names: set[str], times: tuple[str, ...], places: tuple[tuple[str, ...], ...]) -> WhenWhere | None:
    time = next((name for name in times if name in names), None)
    place = next((place for place in places if set(place) <= names), None)
    return (time, place) if time and place else None


def _places(data: pa.Table, names: tuple[str, ...], params: AuditParams) -> pd.Series:
    if params.place == "area":
        return data[names[0]].to_pandas()
    positions = pd.DataFrame({name: data[name].to_numpy() for name in names})
    if names[0].endswith("_e7"):
        positions = positions / 1e7
    at = positions.groupby(list(names), sort=False).ngroup().to_numpy()
    distinct = positions.drop_duplicates()
    lon, lat = (distinct[name].tolist() for name in names)
    cells = [h3.latlng_to_cell(y, x, params.resolution) for x, y in zip(lon, lat, strict=True)]
    return pd.Series(np.array(cells, np.int64)[at])


def _bins(times: pa.ChunkedArray, bin_h: float) -> np.ndarray:
    since = times.cast(pa.timestamp("us", tz=getattr(times.type, "tz", None))).cast(pa.int64()).to_numpy()
    return since // round(bin_h * HOUR_US)
