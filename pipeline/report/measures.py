"""What came out: small frames from stays, locations, visits and measures."""

from __future__ import annotations

from typing import NamedTuple

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import shapely

from data_contracts import GYRATION, LOCATIONS, STAYS, TRACTS, VISITS
from pipeline.engine.store import ALL, Store
from pipeline.report.exploring import Curve, exploration_curve, panel_days, visit_spans
from pipeline.report.groups import MIN_DEVICES, Bars, Tally, log_edges, quantiles
from pipeline.report.reading import bucket_frames
from pipeline.study import Study

GYRATION_EDGES_M = log_edges(10, 2e7, per_decade=5)
DWELL_EDGES_S = log_edges(60, 1e8, per_decade=8)
HOURS_OF_WEEK = 168
H3_RESOLUTION = 7
"""Hexagons of about 5 km²: the map of a study without areas."""
CRS = "EPSG:4326"


class Radii(NamedTuple):
    """The radius of gyration over the study, one value a device."""

    bars: Bars | None
    quartiles_m: list[float | None]
    n_devices: int


class Stays(NamedTuple):
    """How long observed stays last, and when they start."""

    dwell: Bars | None
    starts: pd.DataFrame
    """Index: local hour of the week, 0 Monday midnight. ``n_stays``; missing where devices are too few."""
    n_devices: int
    n_stays: int
    n_inferred: int
    """Of `n_stays`, those inferred from silences: left out above."""


class Seen(NamedTuple):
    """How many devices have a location in each area."""

    areas: gpd.GeoDataFrame
    """``n_devices`` and polygon; `n_devices` missing below the smallest group."""
    is_tracts: bool
    n_devices: int
    n_outside: int
    """Devices with a location outside all areas."""


def measure_radii(store: Store) -> Radii:
    """Return the distribution of the radius of gyration in the window of the whole study."""
    tally, parts = Tally(GYRATION_EDGES_M), []
    for frame in bucket_frames(store, GYRATION, ["device_id", "window", "gyration_m"]):
        whole = frame[frame["window"] == "study"]
        tally.add(whole["device_id"], whole["gyration_m"].to_numpy(float))
        parts.append(whole["gyration_m"].to_numpy(float))
    values = np.concatenate(parts) if parts else np.empty(0)
    return Radii(tally.bars(), quantiles(values, (0.25, 0.5, 0.75)), values.size)


def measure_exploration(store: Store, seed: int) -> Curve:
    """Return the exploration curve of a panel; its points are empty where devices are too few."""
    spans = [visit_spans(frame) for frame in bucket_frames(store, VISITS, ["device_id", "date"])]
    followed = np.concatenate(spans) if spans else np.empty(0, np.int64)
    n_days = panel_days(followed)
    if n_days is None:
        return Curve(pd.DataFrame(columns=["day", "n_locations", "low", "high"]), 0, followed.size)
    frames = bucket_frames(store, VISITS, ["device_id", "date", "is_new"])
    return exploration_curve(frames, n_days, followed.size, seed)


def measure_stays(store: Store) -> Stays:
    """Return the distribution of dwell, and stays by the local hour of the week in which they start.

    Of observed stays: a silence tells neither when a stay began nor how long it was.
    """
    tally, counts, n_devices, n_stays, n_inferred = Tally(DWELL_EDGES_S), [], 0, 0, 0
    for frame in bucket_frames(store, STAYS, ["device_id", "started_at", "finished_at", "utc_offset_s", "is_inferred"]):
        n_stays, n_inferred = n_stays + len(frame), n_inferred + int(frame["is_inferred"].sum())
        frame = frame[~frame["is_inferred"]]
        dwell_s = (frame["finished_at"] - frame["started_at"]).dt.total_seconds()
        tally.add(frame["device_id"], dwell_s.to_numpy())
        counts.append(count_starts(frame))
        n_devices += frame["device_id"].nunique()
    return Stays(tally.bars(), suppress_starts(counts), n_devices, n_stays, n_inferred)


def count_starts(stays: pd.DataFrame) -> pd.DataFrame:
    """Return stays and devices per local hour of the week (0 to 167) that has any."""
    local = stays["started_at"].dt.tz_localize(None) + pd.to_timedelta(stays["utc_offset_s"], unit="s")
    hour = (local.dt.day_of_week * 24 + local.dt.hour).rename("hour")
    grouped = stays["device_id"].groupby(hour)
    return pd.DataFrame({"n_stays": grouped.size(), "n_devices": grouped.nunique()})


def suppress_starts(parts: list[pd.DataFrame], min_devices: int = MIN_DEVICES) -> pd.DataFrame:
    """Return stays for all hours of the week; missing where 1 to `min_devices` - 1 devices started one."""
    counts = pd.concat(parts) if parts else pd.DataFrame({"n_stays": [], "n_devices": []})
    total = counts.groupby(level=0).sum().astype(float).reindex(range(HOURS_OF_WEEK), fill_value=0.0)
    return total[["n_stays"]].where((total["n_devices"] == 0) | (total["n_devices"] >= min_devices))


def measure_seen(store: Store, study: Study) -> Seen:
    """Return the devices with a location in each area: the study's, or hexagons where it has none."""
    is_tracts = study.tracts is not None and store.has(TRACTS, ALL)
    counts, n_devices, n_outside = [], 0, 0
    for frame in bucket_frames(store, LOCATIONS, ["device_id", "lon", "lat", "tract_geoid"]):
        area = frame["tract_geoid"] if is_tracts else hexagons_of(frame)
        n_devices += frame["device_id"].nunique()
        n_outside += frame.loc[area.isna(), "device_id"].nunique()
        counts.append(count_devices(frame["device_id"], area))
    total = pd.concat(counts).groupby(level=0).sum() if counts else pd.Series(dtype=float)
    shapes = read_areas(store) if is_tracts else hexagon_shapes(total)
    return Seen(suppress_areas(shapes, total), is_tracts, n_devices, n_outside)


def count_devices(device_id: pd.Series, area: pd.Series) -> pd.Series:
    """Return the number of distinct devices per area; rows without an area are left out."""
    pairs = pd.DataFrame({"device_id": device_id, "area": area}).dropna().drop_duplicates()
    return pairs.groupby("area").size()


def suppress_areas(shapes: gpd.GeoSeries, n_devices: pd.Series, min_devices: int = MIN_DEVICES) -> gpd.GeoDataFrame:
    """Return every area's devices, missing below `min_devices`; none and few are not told apart.

    `shapes` and `n_devices` are indexed by the area's id, which is not in the result.
    """
    counts = n_devices.reindex(shapes.index).astype(float)
    shown = counts.where(counts >= min_devices).to_numpy()
    return gpd.GeoDataFrame({"n_devices": shown}, geometry=shapes.to_numpy(), crs=CRS)


def read_areas(store: Store) -> gpd.GeoSeries:
    """Return the polygons of the study's areas by id."""
    areas = store.read(TRACTS, ALL, ["tract_geoid", "geometry"]).to_pandas()
    shapes = shapely.from_wkb(areas["geometry"].to_numpy(dtype=object))
    return gpd.GeoSeries(shapes, index=areas["tract_geoid"], crs=CRS)


def hexagons_of(locations: pd.DataFrame) -> pd.Series:
    """Return the H3 cell of each location."""
    pairs = zip(locations["lat"], locations["lon"], strict=True)
    return pd.Series([h3.latlng_to_cell(lat, lon, H3_RESOLUTION) for lat, lon in pairs], index=locations.index)


def hexagon_shapes(n_devices: pd.Series, min_devices: int = MIN_DEVICES) -> gpd.GeoSeries:
    """Return the hexagons of cells that may be shown.

    The outline of a cell with few devices would itself give them away, so those are left out.
    """
    cells = n_devices.index[n_devices >= min_devices]
    rings = [[(lon, lat) for lat, lon in h3.cell_to_boundary(cell)] for cell in cells]
    return gpd.GeoSeries([shapely.Polygon(ring) for ring in rings], index=cells, crs=CRS)
