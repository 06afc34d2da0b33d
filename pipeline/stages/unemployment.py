"""`unemployment`: the share of those with a workplace who have lost it, by region and week or month."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from data_contracts import EMPLOYMENT, PANEL_WEIGHTS, UNEMPLOYMENT
from pipeline.kernels.bootstrap import bootstrap_sums
from pipeline.kernels.raking import effective_size
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.sums import from_fixed, group_sums, to_fixed

WEIGHTINGS = ("none", "area", "raked")
EVERYWHERE = "all"
KEYS = ["place", "window", "window_started"]


class UnemploymentParams(Params):
    """Which regions there are, what counts as job loss, and how intervals are made."""

    region_digits: tuple[int, ...] = (2, 5)
    """Leading digits of home areas' ids that name a region: state and county of a Census id. The whole study, "all", is
    always there. (): nothing else, for ids whose digits mean nothing (ours)."""
    count: Literal["probability", "status"] = "probability"
    """"probability": the mean probability of job loss over devices where it is known; "status": the share that is
    not_employed among those whose status is not unknown, to see how much hangs on the threshold."""
    n_replicates: int = Field(default=200, ge=20, le=10_000)
    """Replicates of the bootstrap over devices. A part of a device bucket holds 48 bytes for each replicate, region and
    period (ours)."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Coverage of the interval: percentiles of the replicates (ours)."""

    @field_validator("region_digits")
    @classmethod
    def _once_each(cls, digits: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(digits)) != len(digits) or any(length < 1 for length in digits):
            raise ValueError("numbers of digits of 1 and more, each once")
        return digits


def _finish(parts: pd.DataFrame, panel_weights: pd.DataFrame, seed: int, params: UnemploymentParams) -> pd.DataFrame:
    """Return the rows of UNEMPLOYMENT from the sums of all buckets."""
    sums = [name for name in parts.columns if name not in KEYS]
    places = group_sums(parts, KEYS, sums)
    rows = [_rates(places.assign(place=EVERYWHERE), sums, params)]
    for digits in params.region_digits:
        inside = places[places["place"].str.len() >= digits]
        rows.append(_rates(inside.assign(place=inside["place"].str[:digits]), sums, params))
    return pd.concat(rows).sort_values(list(UNEMPLOYMENT.key), ignore_index=True)[UNEMPLOYMENT.names]


@stage(
    reads=(EMPLOYMENT, PANEL_WEIGHTS),
    writes=UNEMPLOYMENT,
    params=UnemploymentParams,
    finish=_finish,
    needs=("seed",),
)
def unemployment(
    employment: pd.DataFrame, panel_weights: pd.DataFrame, seed: int, params: UnemploymentParams
) -> pd.DataFrame:
    """Return the sums that rates are made of, by place, window and replicate, in fixed point: a part of the table.

    U_g = sum(omega P) / sum(omega) over the devices of region g whose probability of job loss P is known (method page
    2.5, reconstruction [I]); omega is 1, or the weight of the home area. A week counts its devices; a month counts each
    device once, with its mean over the weeks that start in the month. The interval is a Poisson bootstrap over
    devices, each with all its weeks, with weights held as they are: it says how far another sample of devices would
    lie, not how wrong a status may be. Where all devices of a region have the same P it has no width.

    A device whose home is outside all areas is in the region "all" alone, and only without weights.
    """
    rows = _known(employment, params)
    values, is_counted = _values(rows, panel_weights)
    keys = rows[KEYS].drop_duplicates().sort_values(KEYS, ignore_index=True)
    group = rows.groupby(KEYS, sort=True).ngroup().to_numpy()
    squares = to_fixed(from_fixed(values[:, : len(WEIGHTINGS)]) ** 2)
    plain = np.zeros((len(keys), values.shape[1] + 2 * len(WEIGHTINGS)), np.int64)
    np.add.at(plain, group, np.concatenate([values, squares, is_counted], axis=1))
    device_id = rows["device_id"].to_numpy()
    drawn = bootstrap_sums(device_id, group, values, len(keys), UNEMPLOYMENT.name, seed, params.n_replicates)
    sums = np.concatenate([plain, drawn.reshape(len(keys), values.shape[1] * params.n_replicates)], axis=1)
    return pd.concat([keys, pd.DataFrame(sums, columns=_names(params))], axis=1)


def _names(params: UnemploymentParams) -> list[str]:
    """Return the names of a part's sums, in their order."""
    totals = [f"{what}_{name}" for what in ("weight", "lost") for name in WEIGHTINGS]
    plain = [f"{what}_{name}" for what in ("squares", "n") for name in WEIGHTINGS]
    return [*totals, *plain, *(f"{total}_{k}" for total in totals for k in range(params.n_replicates))]


def _known(employment: pd.DataFrame, params: UnemploymentParams) -> pd.DataFrame:
    """Return what is known of each device by week and by month: its value and the place of its home."""
    if params.count == "probability":
        value = employment["loss_probability"].astype(float)
    else:
        value = (employment["status"] == "not_employed").astype(float).where(employment["status"] != "unknown")
    home = employment["home_tract_geoid"].astype("str")
    weeks = employment[["device_id", "window_started"]].assign(home=home, value=value).dropna(subset="value")
    months = weeks.assign(window_started=weeks["window_started"].to_numpy().astype("datetime64[M]"))
    months["window_started"] = months["window_started"].astype(weeks["window_started"].dtype)
    by_month = months.groupby(["device_id", "window_started", "home"], dropna=False, sort=True, as_index=False)
    rows = pd.concat([weeks.assign(window="week"), by_month["value"].mean().assign(window="month")], ignore_index=True)
    place = rows["home"].str[: max(params.region_digits, default=0)].fillna("")
    return rows.assign(place=place, window=rows["window"].astype("str"))


def _values(rows: pd.DataFrame, panel_weights: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and weighted values under each weighting in fixed point, and which rows have such a weight."""
    by_home = panel_weights.set_index("home_tract_geoid")[["area_weight", "raked_weight"]].reindex(rows["home"])
    weight = np.column_stack([np.ones(len(rows)), by_home.to_numpy(dtype=float)])
    is_counted = ~np.isnan(weight)
    weight = np.where(is_counted, weight, 0.0)
    lost = weight * rows["value"].to_numpy()[:, None]
    return to_fixed(np.concatenate([weight, lost], axis=1)), is_counted


def _rates(places: pd.DataFrame, names: list[str], params: UnemploymentParams) -> pd.DataFrame:
    """Return rates and intervals under each weighting that has a device, from sums by region."""
    sums = group_sums(places, KEYS, names)
    tables = []
    for weighting in WEIGHTINGS:
        found = sums[sums[f"n_{weighting}"] > 0]
        weight, lost, squares = (from_fixed(found[f"{what}_{weighting}"]) for what in ("weight", "lost", "squares"))
        low, high = _interval(found, weighting, params)
        table = found[KEYS].rename(columns={"place": "region_geoid"}).assign(
            weighting=pd.Series([weighting] * len(found), index=found.index, dtype="str"),
            n_devices=found[f"n_{weighting}"],
            n_effective=effective_size(weight, squares),
            rate=lost / weight,
            rate_low=low,
            rate_high=high,
        )  # fmt: skip
        tables.append(table)
    return pd.concat(tables)


def _interval(sums: pd.DataFrame, weighting: str, params: UnemploymentParams) -> tuple[np.ndarray, np.ndarray]:
    """Return percentiles of the replicates' rates; replicates in which no device counts are left out."""
    weight, lost = (
        from_fixed(sums[[f"{what}_{weighting}_{k}" for k in range(params.n_replicates)]]) for what in ("weight", "lost")
    )
    rates = np.divide(lost, weight, out=np.full(weight.shape, np.nan), where=weight > 0)
    tail = (1 - params.level) / 2
    low, high = np.nanquantile(rates, [tail, 1 - tail], axis=1) if len(rates) else np.empty((2, 0))
    return low, high
