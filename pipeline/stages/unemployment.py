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
from pipeline.study import Study
from pipeline.sums import from_fixed, group_sums, to_fixed

WEIGHTINGS = UNEMPLOYMENT.column("weighting").values or ()
UNWEIGHTED = WEIGHTINGS[0]
EVERYWHERE = "all"
PERIOD = ["window", "window_started"]
KEYS = ["place", *PERIOD]
MIN_DEVICES = UNEMPLOYMENT.min_devices or 0


class UnemploymentParams(Params):
    """Which regions there are, what counts as job loss, and how intervals are made."""

    region_digits: tuple[int, ...] = (2, 5)
    """Leading digits of home areas' ids that name a region: state and county of a Census id. The whole study, "all", is
    always there. (): nothing else, for ids whose digits mean nothing (ours)."""
    count: Literal["probability", "status"] = "probability"
    """"probability": the mean probability of job loss over devices where it is known (ours: the method page leaves it
    open); "status": the share that is not_employed among those whose status is not unknown, to see how much hangs on
    the threshold."""
    max_undecided_share: float = Field(default=0.005, ge=0, le=1)
    """Share of the study's devices in a week, of those known or absent for too short to judge, that the latter may be:
    by as much the rate may be too low. Weeks beyond it, which are a study's last, are provisional (ours)."""
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


def _finish(
    parts: pd.DataFrame, panel_weights: pd.DataFrame, study: Study, seed: int, params: UnemploymentParams
) -> pd.DataFrame:
    """Return the rows of UNEMPLOYMENT from the sums of all buckets.

    No difference of rows tells of 1 to `min_devices` - 1 devices. So few without a region do not count in "all"; where
    a region less what is shown inside it would be so few, the smallest that is shown is hidden with all inside it.
    Rows of fewer devices are left to the store, which counts them.
    """
    sums = [name for name in parts.columns if name not in KEYS]
    places = group_sums(parts, KEYS, sums)
    levels = sorted(params.region_digits)
    rows = [_rates(_without_few_outside(places, levels).assign(place=EVERYWHERE), sums, params).assign(parent="")]
    for parent, digits in zip([0, *levels], levels, strict=False):
        inside = places[places["place"].str.len() >= digits]
        table = _rates(inside.assign(place=inside["place"].str[:digits]), sums, params)
        rows.append(table.assign(parent=table["region_geoid"].str[:parent] if parent else EVERYWHERE))
    table = _hide_differences(rows)
    is_provisional = _provisional(places, study, params)
    table["is_provisional"] = is_provisional.reindex(pd.MultiIndex.from_frame(table[PERIOD])).to_numpy(bool)
    return table.sort_values(list(UNEMPLOYMENT.key), ignore_index=True)[UNEMPLOYMENT.names]


def _provisional(places: pd.DataFrame, study: Study, params: UnemploymentParams) -> pd.Series:
    """Return whether the rates of each (window, window_started) are provisional, the same in all regions.

    A week with too many absences too young to judge; a month with such a week, or not wholly inside the study. Of the
    whole study: a region's own count of undecided devices would tell of few of them.
    """
    counts = group_sums(places, PERIOD, [f"n_{UNWEIGHTED}", "n_undecided"]).set_index(PERIOD)
    allowed = params.max_undecided_share * (counts[f"n_{UNWEIGHTED}"] + counts["n_undecided"])
    is_provisional = counts["n_undecided"] > allowed
    week = is_provisional.index.get_level_values("window") == "week"
    starts = is_provisional.index.get_level_values("window_started")
    of_month = is_provisional[week].groupby(starts[week].to_period("M")).any()
    months = starts[~week].to_period("M")
    is_inside = (months.start_time >= pd.Timestamp(study.start)) & (
        months.end_time.normalize() <= pd.Timestamp(study.end)
    )
    is_provisional[~week] = ~is_inside | of_month.reindex(months).to_numpy(bool)
    return is_provisional


def _without_few_outside(places: pd.DataFrame, levels: list[int]) -> pd.DataFrame:
    """Return the sums without devices outside all regions where these are few beside a region that is shown."""
    if not levels:
        return places
    is_outside = places["place"].str.len() < levels[0]
    n = places[f"n_{UNWEIGHTED}"]
    n_outside = n.where(is_outside, 0).groupby([places[key] for key in PERIOD]).transform("sum")
    region = places["place"].str[: levels[0]]
    n_region = n.groupby([region, *(places[key] for key in PERIOD)]).transform("sum").where(~is_outside, 0)
    is_shown = n_region.groupby([places[key] for key in PERIOD]).transform("max") >= MIN_DEVICES
    return places[~(is_outside & is_shown & (n_outside < MIN_DEVICES))]


def _hide_differences(levels: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all levels of regions, without those whose difference to others tells of few devices.

    A region is hidden under every weighting, since all are of the same devices. A weighted row is hidden where all
    weights are equal and few devices have none: it is the unweighted row without them.
    """
    shown = [levels[0]]
    for table in levels[1:]:
        above = shown[-1].loc[
            shown[-1]["n_devices"] >= MIN_DEVICES, ["region_geoid", *PERIOD, "weighting", "n_devices"]
        ]
        above = above.rename(columns={"region_geoid": "parent", "n_devices": "n_parent"})
        rows = table.merge(above, on=["parent", *PERIOD, "weighting"], how="left")
        rows = rows.sort_values(["n_devices", "region_geoid"], kind="stable", ignore_index=True)
        siblings = rows.groupby(["parent", *PERIOD, "weighting"])["n_devices"]
        # Devices that are not shown if this row is the next to be: those in none of the siblings, and in smaller ones.
        n_hidden = rows["n_parent"] - siblings.transform("sum") + siblings.cumsum() - rows["n_devices"]
        is_told = (rows["n_devices"] >= MIN_DEVICES) & (n_hidden > 0) & (n_hidden < MIN_DEVICES)
        # Nothing is shown of what lies inside a hidden region: its parts would add up to it.
        is_told |= rows["n_parent"].isna() & (rows["n_devices"] >= MIN_DEVICES)
        is_hidden = is_told.groupby([rows[key] for key in ("region_geoid", *PERIOD)]).transform("any")
        shown.append(rows[~is_hidden])
    table = pd.concat(shown, ignore_index=True)
    n_all = table["n_devices"].groupby([table[key] for key in ("region_geoid", *PERIOD)]).transform("max")
    n_apart = n_all - table["n_devices"]
    is_equal = table["n_effective"] > table["n_devices"] * (1 - 1e-6)
    return table[~(is_equal & (n_apart > 0) & (n_apart < MIN_DEVICES) & (table["n_devices"] >= MIN_DEVICES))]


@stage(
    reads=(EMPLOYMENT, PANEL_WEIGHTS),
    writes=UNEMPLOYMENT,
    params=UnemploymentParams,
    finish=_finish,
    needs=("study", "seed"),
)
def unemployment(
    employment: pd.DataFrame, panel_weights: pd.DataFrame, study: Study, seed: int, params: UnemploymentParams
) -> pd.DataFrame:
    """Return the sums that rates are made of, by place, window and replicate, in fixed point: a part of the table.

    U_g = sum(omega P) / sum(omega) over the devices of region g whose probability of job loss P is known (method page
    2.5, reconstruction [I]); omega is 1, or the weight of the home area. A week counts its devices; a month counts each
    device once, with its mean over the weeks that start in the month. The interval is a Poisson bootstrap over
    devices, each with all its weeks, with weights held as they are: it says how far another sample of devices would
    lie, not how wrong a status may be. Where all devices of a region have the same P it has no width.

    A device whose home is outside all areas is in the region "all" alone, and only without weights. A week belongs to
    the month of its Monday; one that holds a date before the study is of the month in which it starts all the same.
    """
    rows = _known(employment, params)
    values, is_counted = _values(rows, panel_weights)
    keys = rows[KEYS].drop_duplicates().sort_values(KEYS, ignore_index=True)
    group = rows.groupby(KEYS, sort=True).ngroup().to_numpy()
    squares = to_fixed(from_fixed(values[:, : len(WEIGHTINGS)]) ** 2)
    plain = np.zeros((len(keys), values.shape[1] + 2 * len(WEIGHTINGS) + 1), np.int64)
    is_undecided = rows["value"].isna().to_numpy()[:, None]
    np.add.at(plain, group, np.concatenate([values, squares, is_counted, is_undecided], axis=1))
    device_id = rows["device_id"].to_numpy()
    drawn = bootstrap_sums(device_id, group, values, len(keys), UNEMPLOYMENT.name, seed, params.n_replicates)
    sums = np.concatenate([plain, drawn.reshape(len(keys), values.shape[1] * params.n_replicates)], axis=1)
    return pd.concat([keys, pd.DataFrame(sums, columns=_names(params))], axis=1)


def _names(params: UnemploymentParams) -> list[str]:
    """Return the names of a part's sums, in their order."""
    totals = [f"{what}_{name}" for what in ("weight", "lost") for name in WEIGHTINGS]
    plain = [f"{what}_{name}" for what in ("squares", "n") for name in WEIGHTINGS]
    return [*totals, *plain, "n_undecided", *(f"{total}_{k}" for total in totals for k in range(params.n_replicates))]


def _known(employment: pd.DataFrame, params: UnemploymentParams) -> pd.DataFrame:
    """Return what is known of each device by week and by month: its value and the place of its home.

    Weeks of absences too young to judge are there, without a value.
    """
    if params.count == "probability":
        value = employment["loss_probability"].astype(float)
    else:
        value = (employment["status"] == "not_employed").astype(float).where(employment["status"] != "unknown")
    home = employment["home_tract_geoid"].astype("str")
    weeks = employment[["device_id", "window_started"]].assign(home=home, value=value)
    known = weeks.dropna(subset="value")
    weeks = weeks[value.notna() | employment["is_undecided"]]
    months = known.assign(window_started=known["window_started"].to_numpy().astype("datetime64[M]"))
    months["window_started"] = months["window_started"].astype(weeks["window_started"].dtype)
    by_month = months.groupby(["device_id", "window_started", "home"], dropna=False, sort=True, as_index=False)
    rows = pd.concat([weeks.assign(window="week"), by_month["value"].mean().assign(window="month")], ignore_index=True)
    place = rows["home"].str[: max(params.region_digits, default=0)].fillna("")
    return rows.assign(place=place, window=rows["window"].astype("str"))


def _values(rows: pd.DataFrame, panel_weights: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and weighted values under each weighting in fixed point, and which rows have such a weight."""
    by_home = panel_weights.set_index("home_tract_geoid")[["area_weight", "raked_weight"]].reindex(rows["home"])
    weight = np.column_stack([np.ones(len(rows)), by_home.to_numpy(dtype=float)])
    is_counted = ~np.isnan(weight) & rows["value"].notna().to_numpy()[:, None]
    weight = np.where(is_counted, weight, 0.0)
    lost = weight * rows["value"].fillna(0.0).to_numpy()[:, None]
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
