"""`locations`: the recurrent places of each device, and the area each lies in."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from data_contracts import LOCATIONS, STAYS, TRACTS
from pipeline.kernels.clustering import cluster_places, members_by_place, summarise_places
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.windows import group_starts


class LocationParams(Params):
    """How stays become places: DBSCAN per device (defaults recalled from the literature, unverified)."""

    eps_m: float = Field(default=60.0, gt=0)
    """Stays at most this far apart, in metres, are at one place: the roaming distance less 5 m."""
    min_samples: int = Field(default=1, ge=1)
    """Stays, itself included, within `eps_m` that make a stay the core of a place; 1: every stay has a place."""


@stage(reads=(STAYS, TRACTS), writes=LOCATIONS, params=LocationParams)
def locations(stays: pd.DataFrame, tracts: pd.DataFrame, params: LocationParams) -> pd.DataFrame:
    """Return one row per device and place: centre, stays, dwell, first and last time, spread, area.

    Places are clusters of stays (`kernels.clustering.cluster_places`), numbered per device by first
    stay; the centre is the mean of the stays, each weighing one, as in trackintel. The area is the one
    of `tracts` that covers the centre (the smallest id where several do), null where none does.
    """
    device_start = group_starts(stays["device_id"].to_numpy())
    lon, lat = stays["lon"].to_numpy(), stays["lat"].to_numpy()
    label = cluster_places(device_start, lon, lat, params.eps_m, params.min_samples)
    members = members_by_place(device_start, label)
    order, start = members.order, members.group_start
    places = summarise_places(start, lon[order], lat[order], np.ones(order.size))
    first, last = order[start[:-1]], order[start[1:] - 1]
    dwell_s = (stays["finished_at"] - stays["started_at"]).dt.total_seconds().to_numpy()[order]
    started_at = stays["started_at"].astype("int64").to_numpy()[order]
    return pd.DataFrame(
        {
            "device_id": stays["device_id"].to_numpy()[first],
            "location_id": members.label.astype(np.int32),
            "lon": places.lon,
            "lat": places.lat,
            "n_stays": places.n_stays,
            "dwell_s": np.add.reduceat(dwell_s, start[:-1]) if first.size else np.empty(0),
            "first_at": stays["started_at"].array[first],
            "last_at": stays["finished_at"].array[last],
            "radius_m": places.radius_m,
            "tract_geoid": _area_of(places.lon, places.lat, tracts),
            # An empty list would be taken for numbers.
            "stays_started_at": pd.Series([started_at[a:b] for a, b in itertools.pairwise(start)], dtype=object),
        }
    )


def _area_of(lon: np.ndarray, lat: np.ndarray, tracts: pd.DataFrame) -> pd.Series:
    """Return the id of the area that covers each position, borders included; null where none does."""
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326")
    areas = gpd.GeoDataFrame(
        {"tract_geoid": tracts["tract_geoid"]},
        geometry=shapely.from_wkb(tracts["geometry"].to_numpy(dtype=object)),
        crs="EPSG:4326",
    )
    joined = points.sjoin(areas, how="left", predicate="intersects").sort_values("tract_geoid", kind="stable")
    return joined.groupby(level=0)["tract_geoid"].first().reindex(points.index).astype("str")
