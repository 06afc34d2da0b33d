"""`visits`: the visits to a location, with its area, the place of interest it may be, and whether it is new."""

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from data_contracts import LOCATIONS, POIS, STAYS, VISITS
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.poi_lookup import LikelyPois, nearest_pois, weigh_pois
from pipeline.kernels.visits import find_stays
from pipeline.kernels.weekdays import EPOCH_WEEKDAY
from pipeline.params import Params
from pipeline.stage import stage

SECOND_US, DAY_US, HOUR_US = 1_000_000, 86_400_000_000, 3_600_000_000


class VisitParams(Params):
    """How a visit is given a place of interest (`kernels.poi_lookup` holds the model; all defaults are ours)."""

    poi_k: int = Field(default=5, ge=1, le=100)
    """Places considered: so many nearest ones."""
    poi_radius_m: float = Field(default=100.0, ge=1, le=100_000)
    """Places farther from the location than these metres are not considered."""
    poi_scale_m: float = Field(default=40.0, gt=0)
    """Metres at which a place is e^-0.5 times as probable as at none: error of the centre, and half a building."""
    poi_dwell_log_sd: float = Field(default=0.7, gt=0)
    """Spread of the logarithm of dwells about the place's usual one; 0.7: twice or half as long is common."""


@stage(reads=(STAYS, LOCATIONS, POIS), writes=VISITS, params=VisitParams)
def visits(stays: pd.DataFrame, locations: pd.DataFrame, pois: pd.DataFrame, params: VisitParams) -> pd.DataFrame:
    """Return one row per visit to a location, in time order per device.

    Which stays make a visit is what `locations` says. Positions and areas are the location's; `date` and
    `hour_of_week` are local at the start; `is_new` marks the first visit of the study to the location. Dwell is
    finish minus start, in seconds; `inferred_s` and `bridged_s` say how much of it was not observed. Places
    of interest are those near the location, weighed by the visit's dwell.
    """
    members = _members(stays, locations)
    row, place, start = members
    first, last = row[start[:-1]], row[start[1:] - 1]
    at = place[start[:-1]]
    local_us = _us(stays["started_at"])[first] + stays["utc_offset_s"].to_numpy()[first] * np.int64(SECOND_US)
    columns = {
        "device_id": stays["device_id"].to_numpy()[first],
        "started_at": stays["started_at"].array[first],
        "finished_at": stays["finished_at"].array[last],
        "date": (local_us // DAY_US).astype("datetime64[D]").astype("datetime64[ms]"),
        "hour_of_week": ((local_us // HOUR_US + EPOCH_WEEKDAY * 24) % 168).astype(np.int16),
        "utc_offset_s": stays["utc_offset_s"].to_numpy()[first],
        **_time_spent(stays, row, start),
        "location_id": locations["location_id"].to_numpy()[at],
        "lon": locations["lon"].to_numpy()[at],
        "lat": locations["lat"].to_numpy()[at],
        "tract_geoid": locations["tract_geoid"].array.take(at),
        "is_new": _is_first(at, len(locations)),
    }
    return pd.DataFrame(columns | _poi_columns(pois, _likely_pois(locations, pois, at, columns["dwell_s"], params)))


def _members(stays: pd.DataFrame, locations: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (rows of the stays that belong to a location, row of that location, start of each visit among them)."""
    place = np.full(len(stays), -1)
    place[_rows_of(stays, locations, "stays_started_at")] = np.repeat(
        np.arange(len(locations)), _lengths(locations["stays_started_at"])
    )
    begins = np.zeros(len(stays), dtype=bool)
    begins[_rows_of(stays, locations, "visits_started_at")] = True
    row = np.flatnonzero(place >= 0)
    return row, place[row], np.append(np.flatnonzero(begins[row]), row.size)


def _rows_of(stays: pd.DataFrame, locations: pd.DataFrame, name: str) -> np.ndarray:
    """Return the rows of the stays that a column of lists of LOCATIONS names by their start."""
    device_id = stays["device_id"].to_numpy()
    device_start = group_starts(device_id)
    device = np.searchsorted(device_id[device_start[:-1]], locations["device_id"].to_numpy())
    wanted_at = np.concatenate([np.empty(0, np.int64), *locations[name]])
    return find_stays(device_start, _us(stays["started_at"]), np.repeat(device, _lengths(locations[name])), wanted_at)


def _time_spent(stays: pd.DataFrame, row: np.ndarray, start: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of VISITS about time and what lies behind it; visits own consecutive `row`."""
    started_at, finished_at = _us(stays["started_at"])[row], _us(stays["finished_at"])[row]
    is_inferred = stays["is_inferred"].to_numpy()[row]
    n_pings = stays["n_pings"].to_numpy()[row]
    first, n_stays = start[:-1], np.diff(start)
    dwell_us = finished_at[start[1:] - 1] - started_at[first]
    stayed_us = finished_at - started_at
    break_s = np.zeros(row.size)
    break_s[1:] = (started_at[1:] - finished_at[:-1]) / SECOND_US
    break_s[first] = 0.0
    is_unseen = _reduce(np.logical_and, is_inferred, first)
    is_told = ~is_inferred | np.repeat(is_unseen, n_stays)
    return {
        "dwell_s": dwell_us / SECOND_US,
        "inferred_s": _reduce(np.add, np.where(is_inferred, stayed_us, 0), first) / SECOND_US,
        "bridged_s": (dwell_us - _reduce(np.add, stayed_us, first)) / SECOND_US,
        "is_inferred": is_unseen,
        "n_stays": n_stays,
        "n_pings": _reduce(np.add, np.where(is_told, n_pings, 0), first),
        "max_gap_s": _reduce(np.maximum, np.maximum(stays["max_gap_s"].to_numpy()[row], break_s), first),
    }


def _is_first(at: np.ndarray, n_locations: int) -> np.ndarray:
    """Return for every visit whether it is the first to its location."""
    first = np.full(n_locations, at.size)
    np.minimum.at(first, at, np.arange(at.size))
    return first[at] == np.arange(at.size)


def _likely_pois(
    locations: pd.DataFrame, pois: pd.DataFrame, at: np.ndarray, dwell_s: np.ndarray, params: VisitParams
) -> LikelyPois:
    """Return the candidates of every visit; no columns where the study has no places of interest."""
    if pois.empty:
        return LikelyPois(np.empty((at.size, 0), np.int64), *np.empty((2, at.size, 0)))
    poi_lon, poi_lat, lon, lat = (table[name].to_numpy() for table in (pois, locations) for name in ("lon", "lat"))
    near = nearest_pois(poi_lon, poi_lat, lon, lat, params.poi_k, params.poi_radius_m)
    usual_dwell_s, weight = pois["usual_dwell_s"].to_numpy(float), pois["weight"].to_numpy(float)
    return weigh_pois(near, at, dwell_s, usual_dwell_s, weight, params.poi_scale_m, params.poi_dwell_log_sd)


def _poi_columns(pois: pd.DataFrame, likely: LikelyPois) -> dict[str, object]:
    """Return the columns of VISITS about places of interest."""
    n = likely.poi.shape[0]
    is_there = likely.poi >= 0
    start = np.append(0, np.cumsum(is_there.sum(axis=1)))
    has_any = np.diff(start) > 0
    best = np.full(n, -1)
    distance_m, probability = np.full((2, n), np.nan)
    if likely.poi.shape[1]:
        best, distance_m, probability = (values[:, 0] for values in likely)
    texts = pa.Table.from_pandas(pois[["poi_id", "poi_category"]], preserve_index=False)
    ids, categories = (column.combine_chunks().cast(pa.string()) for column in texts.columns)
    chosen = pa.array(best, mask=~has_any)
    return {
        "poi_id": _arrow(ids.take(chosen)),
        "poi_category": _arrow(categories.take(chosen)),
        "poi_distance_m": distance_m,
        "poi_probability": probability,
        "candidate_poi_ids": _lists(ids.take(pa.array(likely.poi[is_there])), start),
        "candidate_probabilities": _lists(pa.array(likely.probability[is_there]), start),
    }


def _arrow(values: pa.Array) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(values))


def _lists(values: pa.Array, start: np.ndarray) -> pd.Series:
    return _arrow(pa.ListArray.from_arrays(pa.array(start, pa.int32()), values))


def _lengths(lists: pd.Series) -> np.ndarray:
    return lists.map(len).to_numpy(dtype=np.int64)


def _us(times: pd.Series) -> np.ndarray:
    return times.astype("int64").to_numpy()


def _reduce(ufunc: np.ufunc, values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return `ufunc` over each group of rows, which begins at `first` and is not empty."""
    return ufunc.reduceat(values, first) if first.size else values[:0]
