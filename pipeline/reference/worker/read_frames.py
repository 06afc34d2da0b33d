"""Frames as scikit-mobility takes them, and its times as ours."""

import geopandas as gpd
import numpy as np
import pandas as pd
import skmob

WGS84 = "EPSG:4326"


def read_rows(table):
    """Return rows of devices as a TrajDataFrame, in the order asked."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return skmob.TrajDataFrame(
        pd.DataFrame(
            {
                "uid": columns["device_id"],
                "datetime": columns["tracked_at"].astype("datetime64[us]").astype("datetime64[ns]"),
                "lat": columns["lat"],
                "lng": columns["lon"],
            }
        )
    )


def read_tiles(table):
    """Return tiles as a tessellation of points, which are their own centroids."""
    found = table.to_pandas()
    named = found.rename(columns={"tile_id": "tile_ID", "outflow": "tot_outflow"}).drop(columns=["lon", "lat"])
    return gpd.GeoDataFrame(named, geometry=gpd.points_from_xy(found["lon"], found["lat"]), crs=WGS84)


def read_flows(table):
    """Return flows with scikit-mobility's names."""
    return table.to_pandas().rename(columns={"origin_tile_id": "origin", "destination_tile_id": "destination"})


def microseconds(times):
    """Return a column of times as whole microseconds since 1970."""
    return pd.to_datetime(times).to_numpy().astype("datetime64[us]").astype("int64")


def floats(column):
    """Return a column as an array of doubles."""
    return np.asarray(column, dtype="float64")


def whole(column):
    """Return a column as an array of whole numbers."""
    return np.asarray(column, dtype="int64")


READERS = {"rows": read_rows, "tiles": read_tiles, "flows": read_flows}
