"""Frames as the peers have them: scikit-mobility (and fastmob), trackintel, movingpandas; ours from theirs.

Columns, dtypes and what may be missing are theirs; numbers are not touched. Ids of devices are keyed hashes here and
stay so. Nothing of the peers is imported. GeoParquet needs no function: ``load(..., geometry=True).to_parquet(path)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import geopandas as gpd

CRS = "EPSG:4326"
DEGREE_E7 = 1e7


# --- scikit-mobility and fastmob ----------------------------------------------------------------


def to_skmob(frame: pd.DataFrame) -> pd.DataFrame:
    """Return pings, stays or visits with the columns of a TrajDataFrame: a row as it was, by uid and datetime.

    uid, datetime (UTC without a zone, nanoseconds, as pandas 1 has it), lat, lng, then what else there was; the end of
    a stay or visit is leaving_datetime. Of pings lat and lng are made from lat_e7 and lon_e7. ValueError where a row
    has no device, time or position.
    """
    frame = _with_degrees(frame)
    time = _time_of(frame)
    named = frame.rename(
        columns={"device_id": "uid", time: "datetime", "lon": "lng", "finished_at": "leaving_datetime"}
    )
    times = {name: _naive(named[name]) for name in ("datetime", "leaving_datetime") if name in named}
    first = ["uid", "datetime", "lat", "lng"]
    ordered = named.assign(**times).sort_values(["uid", "datetime"], kind="stable", ignore_index=True)
    return ordered[[*first, *(name for name in ordered if name not in first)]]


def from_skmob(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a TrajDataFrame with our names; times without a zone are UTC, a frame without uid is device 0.

    Rows with leaving_datetime have started_at and finished_at, others tracked_at.
    """
    is_stay = "leaving_datetime" in frame
    named = pd.DataFrame(frame).rename(
        columns={
            "uid": "device_id",
            "datetime": "started_at" if is_stay else "tracked_at",
            "leaving_datetime": "finished_at",
            "lng": "lon",
        }
    )
    if "device_id" not in named:
        named.insert(0, "device_id", 0)
    return named.assign(**{name: _utc(named[name]) for name in named if str(name).endswith("_at")})


def to_skmob_flows(
    flows: pd.DataFrame, tiles: gpd.GeoDataFrame, origin: str, destination: str, flow: str, tile_id: str
) -> tuple[pd.DataFrame, gpd.GeoDataFrame]:
    """Return (flows, tessellation) with the columns of a FlowDataFrame: origin, destination, flow; tile_ID, geometry.

    The arguments name our columns, as origin_area, destination_area, n_trips and tract_geoid. Ids become text. Flows of
    a tile that is not in `tiles`, as of margins, are left out, since a FlowDataFrame refuses them.
    """
    tessellation = tiles.rename(columns={tile_id: "tile_ID"}).astype({"tile_ID": str}).reset_index(drop=True)
    named = flows.rename(columns={origin: "origin", destination: "destination", flow: "flow"})
    named = named[["origin", "destination", "flow"]].astype({"origin": str, "destination": str})
    is_known = named["origin"].isin(tessellation["tile_ID"]) & named["destination"].isin(tessellation["tile_ID"])
    return named[is_known].reset_index(drop=True), tessellation


def from_skmob_flows(flows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a FlowDataFrame with our names: origin_tile_id, destination_tile_id, flow."""
    names = {"origin": "origin_tile_id", "destination": "destination_tile_id"}
    return pd.DataFrame(flows).rename(columns=names)


# --- trackintel ---------------------------------------------------------------------------------


def to_positionfixes(pings: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return pings as trackintel's positionfixes: user_id, tracked_at, geometry; the index is their id."""
    return _points(pings, "geometry")


def to_staypoints(stays: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return stays or visits as trackintel's staypoints: user_id, started_at, finished_at, geometry.

    The index is the staypoint's id, in order of device and start; of visits location_id is the index that
    `to_locations` gives the location, if that is made of all locations of the same devices.
    """
    ordered = stays.sort_values(["device_id", "started_at"], kind="stable", ignore_index=True)
    if "location_id" in ordered:
        ordered = ordered.assign(location_id=_location_ids(ordered["device_id"], ordered["location_id"]))
    return _points(ordered, "geometry").assign(is_activity=True)


def to_locations(locations: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return locations as trackintel has them: user_id, center; the index numbers the locations of all devices."""
    ordered = locations.sort_values(["device_id", "location_id"], ignore_index=True)
    return _points(ordered.drop(columns="location_id"), "center").rename_axis("id")


def to_trips(trips: pd.DataFrame, staypoints: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return trips as trackintel has them, between the staypoints of the same devices' visits, made by `to_staypoints`.

    user_id, started_at, finished_at, origin_staypoint_id, destination_staypoint_id and a geometry of the two ends. What
    trackintel makes of trips, such as tours, it makes of these. ValueError where a trip has no visit at an end.
    """
    import geopandas as gpd
    import shapely

    after = _staypoints_at(staypoints, trips["device_id"], trips["finished_at"])
    ends = [[trips[f"{end}_{axis}"] for axis in ("lon", "lat")] for end in ("origin", "destination")]
    geometry = shapely.multipoints(np.stack([np.stack(end, axis=1) for end in ends], axis=1))
    named = trips[["device_id", "started_at", "finished_at"]].rename(columns={"device_id": "user_id"})
    named = named.assign(origin_staypoint_id=after - 1, destination_staypoint_id=after)
    return gpd.GeoDataFrame(named.reset_index(drop=True), geometry=geometry, crs=CRS).rename_axis("id")


def to_tours(tours: pd.DataFrame) -> pd.DataFrame:
    """Return rows with device_id, started_at and finished_at as trackintel's tours; the index is the tour's id."""
    return tours.rename(columns={"device_id": "user_id"}).reset_index(drop=True).rename_axis("id")


def from_trackintel(frame: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return positionfixes, staypoints or locations with our names: device_id, times in UTC, lon and lat in degrees.

    ValueError where the frame has no CRS, or its geometry is not points.
    """
    if frame.crs is None:
        raise ValueError("the frame has no CRS: lon and lat cannot be known")
    points = frame.geometry.to_crs(CRS)
    if not (points.geom_type == "Point").all():
        raise ValueError("positions must be points")
    plain = pd.DataFrame(frame.drop(columns=frame.geometry.name)).rename(columns={"user_id": "device_id"})
    times = {name: _utc(plain[name]) for name in plain if str(name).endswith("_at")}
    return plain.assign(**times, lon=points.x, lat=points.y)


# --- geopandas and movingpandas -----------------------------------------------------------------


def to_trajectory_points(frame: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return pings, stays or visits as points with their time as index: what movingpandas builds trajectories of.

    ``TrajectoryCollection(to_trajectory_points(pings), traj_id_col="device_id")``. Times are UTC without a zone.
    """
    import geopandas as gpd

    frame = _with_degrees(frame)
    time = _time_of(frame)
    ordered = frame.sort_values(["device_id", time], kind="stable")
    points = gpd.points_from_xy(ordered["lon"], ordered["lat"])
    shown = ordered.drop(columns=["lon", "lat", time]).set_index(pd.DatetimeIndex(_naive(ordered[time]), name="t"))
    return gpd.GeoDataFrame(shown, geometry=points, crs=CRS)


def to_trajectory_lines(frame: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return a line for each device and UTC date with two rows or more: device_id, date, its first and last time."""
    import geopandas as gpd
    import shapely

    frame = _with_degrees(frame)
    time = _time_of(frame)
    ordered = frame.sort_values(["device_id", time], kind="stable", ignore_index=True)
    line = [ordered["device_id"], ordered[time].dt.tz_convert("UTC").dt.floor("D").dt.tz_localize(None).rename("date")]
    ordered = ordered[ordered.groupby(line)[time].transform("size") > 1]
    groups = ordered.groupby([part[ordered.index] for part in line])
    found = groups[time].agg(started_at="first", finished_at="last").reset_index()
    number = groups.ngroup().to_numpy()
    lines = (
        shapely.linestrings(ordered["lon"].to_numpy(), ordered["lat"].to_numpy(), indices=number) if len(found) else []
    )
    return gpd.GeoDataFrame(found, geometry=lines, crs=CRS)


# --- shared -------------------------------------------------------------------------------------


def _time_of(frame: pd.DataFrame) -> str:
    for name in ("tracked_at", "started_at"):
        if name in frame:
            return name
    raise ValueError("a frame needs tracked_at or started_at")


def _with_degrees(frame: pd.DataFrame) -> pd.DataFrame:
    if "lon_e7" in frame:
        degrees = {"lon": frame["lon_e7"] / DEGREE_E7, "lat": frame["lat_e7"] / DEGREE_E7}
        frame = frame.drop(columns=["lon_e7", "lat_e7"]).assign(**degrees)
    needed = ["device_id", "lon", "lat"]
    missing = [name for name in needed if name not in frame]
    if missing:
        raise ValueError(f"columns are missing: {', '.join(missing)}")
    if frame[needed].isna().any(axis=None):
        raise ValueError("a row has no device or no position")
    return frame


def _points(frame: pd.DataFrame, geometry: str) -> gpd.GeoDataFrame:
    import geopandas as gpd

    frame = _with_degrees(frame).rename(columns={"device_id": "user_id"}).reset_index(drop=True)
    points = gpd.GeoSeries(gpd.points_from_xy(frame["lon"], frame["lat"]), crs=CRS)
    return gpd.GeoDataFrame(frame.drop(columns=["lon", "lat"]).assign(**{geometry: points}), geometry=geometry, crs=CRS)


def _location_ids(device: pd.Series, location: pd.Series) -> np.ndarray:
    """Return the number of each device's location among those of all devices, in order."""
    return pd.MultiIndex.from_arrays([device, location]).factorize(sort=True)[0]


def _staypoints_at(staypoints: gpd.GeoDataFrame, device: pd.Series, started_at: pd.Series) -> np.ndarray:
    """Return the index of the staypoint of each device that starts at a time and is not its first."""
    place = pd.MultiIndex.from_frame(staypoints[["user_id", "started_at"]])
    after = place.get_indexer(pd.MultiIndex.from_arrays([device, started_at]))
    user = staypoints["user_id"].to_numpy()
    if (after < 1).any() or (user[after - 1] != device.to_numpy()).any():
        raise ValueError("a trip has no visit at one of its ends: give the staypoints of all visits of its device")
    return after


def _naive(times: pd.Series) -> pd.Series:
    return times.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[ns]")


def _utc(times: pd.Series) -> pd.Series:
    """Return times in UTC to the microsecond; those without a zone are taken for UTC."""
    times = pd.to_datetime(times)
    aware = times.dt.tz_localize("UTC") if times.dt.tz is None else times.dt.tz_convert("UTC")
    return aware.astype("datetime64[us, UTC]")
