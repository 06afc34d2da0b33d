"""`locations`: the recurrent places of each device, the visits to them, and the area each lies in."""

from typing import Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, model_validator

from data_contracts import LOCATIONS, STAYS, TRACTS
from pipeline.geography import areas_at
from pipeline.kernels.clustering import PlaceMembers, cluster_places, members_by_place, summarise_places
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.place_network import network_places
from pipeline.kernels.sphere_cubes import NOISE
from pipeline.kernels.visits import begins_visit
from pipeline.params import Params
from pipeline.stage import stage

SECOND_US = 1_000_000


class LocationParams(Params):
    """How stays become places, device by device. What is said to be recalled from the literature is unverified."""

    method: Literal["density", "network"] = "density"
    """DBSCAN by `eps_m` and `min_samples`; or communities of a network of near stays (after Infostop, by the
    map equation), which cut a chain of stays that DBSCAN makes one place."""
    eps_m: float = Field(default=60.0, gt=0)
    """"density": stays at most this far apart, in metres, are at one place (recalled: 65 m of roaming less 5 m)."""
    min_samples: int = Field(default=1, ge=1)
    """"density": stays, itself included, within `eps_m` that make a stay the core of a place (recalled); 1: every
    stay has a place."""
    link_m: float = Field(default=70.0, gt=0, le=50_000)
    """"network": stays at most this far apart, in metres, are linked (ours: three to four times the error of a
    stay's centre)."""
    node_m: float = Field(default=10.0, ge=0.01)
    """"network": stays at most this far from the first of a node, in metres, are that node (ours)."""
    inferred_stays: Literal["anywhere", "known", "none"] = "anywhere"
    """Which inferred stays count (ours): all; those at a place that also has an observed stay (they help to make
    the places); none of them."""
    merge_gap_s: float = Field(default=600.0, ge=0)
    """Stays at one place are one visit if no other stay and at most these seconds are between (trackintel: 10 min)."""
    max_tract_distance_m: float = Field(default=0.0, ge=0, le=50_000)
    """A place outside all areas takes the nearest within these metres (ours); 0: only an area that covers it."""

    @model_validator(mode="after")
    def _nodes_are_smaller_than_links(self) -> Self:
        if self.node_m > self.link_m:
            raise ValueError(f"node_m ({self.node_m}) must be at most link_m ({self.link_m})")
        return self


@stage(reads=(STAYS, TRACTS), writes=LOCATIONS, params=LocationParams)
def locations(stays: pd.DataFrame, tracts: pd.DataFrame, params: LocationParams) -> pd.DataFrame:
    """Return one row per device and place: centre, visits, stays, dwell, first and last time, spread, area.

    Places are clusters of the stays that count (`kernels.clustering.cluster_places` or
    `kernels.place_network.network_places`), numbered per device by first stay; the centre is the mean of
    the observed stays, each weighing one, as in trackintel (of all, where none was observed). The area is
    the one of `tracts` that covers the centre, borders included, else the nearest within the given
    distance (the smallest id where several do), else null.
    """
    if params.inferred_stays == "none":
        stays = stays[~stays["is_inferred"].to_numpy()]
    device_start = group_starts(stays["device_id"].to_numpy())
    lon, lat = stays["lon"].to_numpy(), stays["lat"].to_numpy()
    label = _label(device_start, lon, lat, params)
    members = members_by_place(device_start, label)
    is_inferred = stays["is_inferred"].to_numpy()
    left_out = np.zeros(len(stays), dtype=bool)
    if params.inferred_stays == "known":
        members, left_out = _keep_observed(members, is_inferred)
        left_out |= is_inferred & (label == NOISE)
    order, start = members.order, members.group_start
    n_observed = _sums(~is_inferred[order], start)
    weight = np.where(np.repeat(n_observed > 0, np.diff(start)), ~is_inferred[order], True)
    places = summarise_places(start, lon[order], lat[order], weight.astype(float))
    area = areas_at(tracts["geometry"].to_numpy(dtype=object), places.lon, places.lat, params.max_tract_distance_m)
    first, last = order[start[:-1]], order[start[1:] - 1]
    return pd.DataFrame(
        {
            "device_id": stays["device_id"].to_numpy()[first],
            "location_id": members.label.astype(np.int32),
            "lon": places.lon,
            "lat": places.lat,
            "n_stays": places.n_stays,
            "n_inferred_stays": places.n_stays - n_observed,
            "first_at": stays["started_at"].array[first],
            "last_at": stays["finished_at"].array[last],
            "radius_m": places.radius_m,
            "tract_geoid": _texts(tracts["tract_geoid"], area),
            **_times(stays, members, left_out, params.merge_gap_s),
        }
    )


def _label(device_start: np.ndarray, lon: np.ndarray, lat: np.ndarray, params: LocationParams) -> np.ndarray:
    if params.method == "network":
        return network_places(device_start, lon, lat, None, params.link_m, params.node_m)
    return cluster_places(device_start, lon, lat, params.eps_m, params.min_samples)


def _keep_observed(members: PlaceMembers, is_inferred: np.ndarray) -> tuple[PlaceMembers, np.ndarray]:
    """Return the places with an observed stay, numbered anew by first stay, and which stays that leaves out."""
    n_stays = np.diff(members.group_start)
    is_kept = _sums(~is_inferred[members.order], members.group_start) > 0
    is_of_kept = np.repeat(is_kept, n_stays)
    left_out = np.zeros(is_inferred.size, dtype=bool)
    left_out[members.order[~is_of_kept]] = True
    device = members.device[is_kept]
    device_start = group_starts(device)
    label = np.arange(device.size) - np.repeat(device_start[:-1], np.diff(device_start))
    start = np.append(0, np.cumsum(n_stays[is_kept]))
    return PlaceMembers(members.order[is_of_kept], start, device, label), left_out


def _times(stays: pd.DataFrame, members: PlaceMembers, left_out: np.ndarray, merge_gap_s: float) -> dict:
    """Return the columns of LOCATIONS about visits and time, one value a place."""
    order, start = members.order, members.group_start
    started_at, finished_at = (stays[name].astype("int64").to_numpy() for name in ("started_at", "finished_at"))
    begins, bridged_us = _find_visits(started_at, finished_at, members, left_out, merge_gap_s)
    stayed_us = (finished_at - started_at)[order]
    inferred_us = np.where(stays["is_inferred"].to_numpy()[order], stayed_us, 0)
    n_visits = _sums(begins[order], start)
    first_of_visit = order[begins[order]]
    return {
        "n_visits": n_visits,
        "dwell_s": _sums(stayed_us + bridged_us[order], start) / SECOND_US,
        "inferred_s": _sums(inferred_us, start) / SECOND_US,
        "bridged_s": _sums(bridged_us[order], start) / SECOND_US,
        "stays_started_at": _lists(started_at[order], start),
        "visits_started_at": _lists(started_at[first_of_visit], np.append(0, np.cumsum(n_visits))),
    }


def _find_visits(
    started_at: np.ndarray, finished_at: np.ndarray, members: PlaceMembers, left_out: np.ndarray, merge_gap_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return for every stay whether it begins a visit, and the µs bridged just before it where it does not.

    A stay that belongs to no place ends a visit like any other; one that is left out is as if it were not there.
    """
    place = np.full(started_at.size, -1)
    place[members.order] = np.repeat(np.arange(members.label.size), np.diff(members.group_start))
    rows = np.flatnonzero(~left_out)
    gap_us = round(min(merge_gap_s, 1e12) * SECOND_US)
    begins, bridged_us = np.ones(started_at.size, dtype=bool), np.zeros(started_at.size, np.int64)
    begins[rows] = begins_visit(place[rows], started_at[rows], finished_at[rows], gap_us)
    goes_on = rows[~begins[rows]]
    before = rows[np.flatnonzero(~begins[rows]) - 1]
    bridged_us[goes_on] = started_at[goes_on] - finished_at[before]
    return begins, bridged_us


def _sums(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the sum (int64) of each group of rows; groups are not empty."""
    return np.add.reduceat(values, start[:-1], dtype=np.int64) if start.size > 1 else np.empty(0, np.int64)


def _lists(values: np.ndarray, start: np.ndarray) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.ListArray.from_arrays(pa.array(start, pa.int32()), values)))


def _texts(texts: pd.Series, row: np.ndarray) -> pd.Series:
    """Return the text of each row, null for row -1."""
    chosen = pa.array(texts, pa.string()).take(pa.array(row, mask=row < 0))
    return pd.Series(chosen.to_pandas(), dtype="str")
