"""`gravity_fits`: how trips fall off with distance, and whether that says more than margins do."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import GRAVITY_FITS, TRIPS
from pipeline.area_cells import AreaParams, areas_of, count_cells
from pipeline.gravity import (
    Fit,
    Flows,
    NotIdentifiedError,
    common_part,
    fit_by_origin,
    fit_free,
    flows_of,
    margins_model,
    radiation_model,
)
from pipeline.kernels.presence import distances_m
from pipeline.stage import stage
from pipeline.sums import from_fixed, group_sums, to_fixed

ENDS = ["origin_area", "destination_area"]
AXES = "xyz"
VECTORS = [f"{end}_{axis}" for end in ("origin", "destination") for axis in AXES]
SUMS = [*VECTORS, "n_rows", "n_main"]
KM = 1000.0
FITS: dict[str, tuple[Callable[..., Fit], bool]] = {
    "free_power": (fit_free, True),
    "free_exponential": (fit_free, False),
    "origin_power": (fit_by_origin, True),
    "origin_exponential": (fit_by_origin, False),
}
BASELINES = {"margins": margins_model, "radiation": radiation_model}
COEFFICIENTS = ["origin_exponent", "destination_exponent", "distance_decay"]


class GravityParams(AreaParams):
    """Which flows are fitted to, and how."""

    max_duration_s: float = Field(default=86_400.0, gt=0)
    """Longer trips are left out, as in `od_flows` (ours)."""
    max_areas: int = Field(default=300, ge=5, le=2000)
    """Areas with the most trips out and in; others are left out. Memory and time grow with its square (ours)."""
    min_areas: int = Field(default=10, ge=5)
    """Of fewer areas nothing is fitted (ours)."""
    min_distance_m: float = Field(default=100.0, gt=0)
    """Areas whose centres are nearer count as so far apart (ours)."""
    n_folds: int = Field(default=5, ge=2)
    """Parts of the origins, each left out of a fit in turn (ours)."""


def _finish(parts: pd.DataFrame, params: GravityParams) -> pd.DataFrame:
    """Return the fits to the flows of all buckets; no rows of too few areas."""
    sums = group_sums(parts, ENDS, SUMS)
    flows, areas = _flows(sums, params)
    if len(areas) < params.min_areas:
        return pd.DataFrame({name: [] for name in GRAVITY_FITS.names}).astype(
            {"model": "str", "is_best": bool, "is_baseline": bool}
        )
    rows = [*(_baseline(name, flows) for name in BASELINES), *_all_fitted(flows, params)]
    table = pd.DataFrame(rows)
    n_areas = len(areas)
    table = table.assign(
        n_devices=sums.loc[sums[ENDS].isin(set(areas)).all(axis=1), "n_main"].sum(),
        n_trips=int(flows.n_trips.sum()),
        n_areas=n_areas,
        n_pairs=n_areas * (n_areas - 1),
        is_best=np.arange(len(table)) == table["left_out_cpc"].to_numpy().argmax(),
    )
    return table.astype({"model": "str"}).sort_values("model", ignore_index=True)[GRAVITY_FITS.names]


def _flows(sums: pd.DataFrame, params: GravityParams) -> tuple[Flows, pd.Index]:
    """Return the flows between the areas of most trips that have trips out and in among each other, and these areas.

    A matrix is made of the areas kept alone: that of all areas of a country would not fit into memory.
    """
    centre = _centres(sums)
    between = _in_circulation(sums.loc[sums["origin_area"] != sums["destination_area"], [*ENDS, "n_rows"]])
    n_trips = pd.concat([between.set_index(end)["n_rows"].rename_axis("area") for end in ENDS]).groupby("area").sum()
    busiest = n_trips.sort_values(ascending=False, kind="stable").index[: params.max_areas]
    kept = _in_circulation(between[between[ENDS].isin(set(busiest)).all(axis=1)])
    areas = pd.Index(np.unique(kept["origin_area"]), dtype="str")
    inside = np.zeros((len(areas), len(areas)))
    inside[tuple(areas.get_indexer(kept[end]) for end in ENDS)] = kept["n_rows"]
    return flows_of(inside, _distances_km(centre.reindex(areas), params.min_distance_m)), areas


def _in_circulation(flows: pd.DataFrame) -> pd.DataFrame:
    """Return the flows between areas that are both left and reached, of the flows that remain."""
    while True:
        used = set(flows["origin_area"]) & set(flows["destination_area"])
        is_used = flows[ENDS].isin(used).all(axis=1)
        if is_used.all():
            return flows
        flows = flows[is_used]


def _centres(sums: pd.DataFrame) -> pd.DataFrame:
    """Return the mean position of the ends of trips by area, in degrees: lon, lat."""
    ends = [
        sums[[f"{end}_area", *(f"{end}_{axis}" for axis in AXES)]].set_axis(["area", *AXES], axis=1)
        for end in ("origin", "destination")
    ]
    total = group_sums(pd.concat(ends), ["area"], list(AXES)).set_index("area")
    x, y, z = (from_fixed(total[axis]) for axis in AXES)
    return pd.DataFrame(
        {"lon": np.degrees(np.arctan2(y, x)), "lat": np.degrees(np.arctan2(z, np.hypot(x, y)))}, total.index
    )


def _distances_km(centre: pd.DataFrame, min_distance_m: float) -> np.ndarray:
    n = len(centre)
    lon, lat = centre["lon"].to_numpy(), centre["lat"].to_numpy()
    found = distances_m(np.repeat(lon, n), np.repeat(lat, n), np.tile(lon, n), np.tile(lat, n))
    return np.maximum(found, min_distance_m).reshape(n, n) / KM


def _baseline(name: str, flows: Flows) -> dict[str, object]:
    cpc = common_part(flows.n_trips, BASELINES[name](flows))
    empty = dict.fromkeys([*COEFFICIENTS, *(f"{c}_std_error" for c in COEFFICIENTS)], np.nan)
    return {"model": name, "cpc": cpc, "left_out_cpc": cpc, "is_baseline": True, **empty}


def _all_fitted(flows: Flows, params: GravityParams) -> Iterator[dict[str, object]]:
    """Yield the fits of which there is one: a model whose coefficients the flows do not tell has no row."""
    for name in FITS:
        with suppress(NotIdentifiedError):
            yield _fitted(name, flows, params)


def _fitted(name: str, flows: Flows, params: GravityParams) -> dict[str, object]:
    fit, is_power = FITS[name]
    origins = np.arange(len(flows.n_trips))
    whole = fit(flows, is_power, origins)
    left_out = np.zeros_like(flows.n_trips)
    for fold in range(params.n_folds):
        is_out = origins % params.n_folds == fold
        left_out[is_out] = fit(flows, is_power, origins[~is_out]).predict(flows)[is_out]
    return {
        "model": name,
        "cpc": common_part(flows.n_trips, whole.predict(flows)),
        "left_out_cpc": common_part(flows.n_trips, left_out),
        "is_baseline": False,
        **dict(zip(COEFFICIENTS, whole.coefficients, strict=True)),
        **dict(zip((f"{c}_std_error" for c in COEFFICIENTS), whole.std_errors, strict=True)),
    }


@stage(reads=(TRIPS,), writes=GRAVITY_FITS, params=GravityParams, finish=_finish)
def gravity_fits(trips: pd.DataFrame, params: GravityParams) -> pd.DataFrame:
    """Return the trips of a bucket by origin and destination, and where these are: a part of the table.

    Areas are where their trips begin and end, on the mean: not their middle. What attracts an area is measured by the
    trips that reach it, which are what is to be explained, so exponents of 1 are no finding (ours); distance is.
    """
    rows = trips[trips["duration_s"] <= params.max_duration_s]
    columns = {"device_id": rows["device_id"]}
    for end in ("origin", "destination"):
        lon, lat = rows[f"{end}_lon"], rows[f"{end}_lat"]
        columns[f"{end}_area"] = areas_of(lon, lat, rows[f"{end}_tract_geoid"], params)
        columns |= {f"{end}_{axis}": to_fixed(values) for axis, values in zip(AXES, _vector(lon, lat), strict=True)}
    rows = pd.DataFrame(columns).dropna(subset=ENDS).reset_index(drop=True)
    rows = rows.assign(n_main=_is_main(rows).astype(np.int64))
    return count_cells(rows, ENDS, (), [*VECTORS, "n_main"])


def _is_main(rows: pd.DataFrame) -> pd.Series:
    """Return whether a trip is the one that its device is counted by: a trip of its most frequent flow.

    Which areas are in the fit is known only when all buckets are; devices counted by one flow each add up until then.
    """
    apart = rows[rows[ENDS[0]] != rows[ENDS[1]]]
    n_trips = apart.groupby(["device_id", *ENDS])["device_id"].transform("size")
    ordered = apart.assign(n_left=-n_trips).sort_values(["device_id", "n_left", *ENDS], kind="stable")
    main = ordered.index[~ordered.duplicated("device_id")]
    return pd.Series(rows.index.isin(main), index=rows.index)


def _vector(lon: pd.Series, lat: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    east, north = np.radians(lon.to_numpy()), np.radians(lat.to_numpy())
    return np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)
