"""Rates of unemployment of the study, and beside official series where there are some."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data_contracts import OFFICIAL_RATES, UNEMPLOYMENT
from pipeline.engine.store import Store
from pipeline.evaluation.unemployment import POOLED, Asked, Correlation, compare_rates
from pipeline.report.groups import MIN_DEVICES
from pipeline.report.missing import Missing, not_computed
from pipeline.report.reading import read_whole
from pipeline.study import Study, StudyError

EVERYWHERE = "all"
WEIGHTINGS = {"none": "Unweighted", "area": "By area", "raked": "Raked"}
"""Weighting → how it is told, from the least to the most that it does."""
STOCKS = {"laus_rate": "LAUS rate", "continued_claims": "Continued claims"}
"""Official series that are stocks like the rate, and so may be drawn beside it."""
MAX_REGIONS = 6
"""So many regions are drawn beside official series: those with most devices (ours)."""
ASKED = Asked(n_replicates=200)


class Official(NamedTuple):
    """The rates of states beside official series."""

    weighting: str
    series: pd.DataFrame
    """``region``, ``series`` (rate or one of `STOCKS`), ``started`` (month), ``value``, and for the rate ``low`` and
    ``high``: all by the mean of the series over the months that it shares with the rate."""
    correlations: list[Lagged]
    n_regions: int


class Lagged(NamedTuple):
    """One pairing in one region: at no lag, and at that where Pearson's correlation is highest."""

    at_zero: Correlation
    best: Correlation | None


class Rates(NamedTuple):
    """What `unemployment` says of the whole study."""

    months: pd.DataFrame
    """Rows of the table: the whole study, month by month."""
    official: Official | Missing


def measure_rates(store: Store, study: Study) -> Rates | Missing:
    """Return the monthly rates of the whole study under each weighting, and how those of states go with others'."""
    table = read_whole(store, UNEMPLOYMENT)
    if table is None:
        return not_computed(UNEMPLOYMENT)
    months = table[(table["region_geoid"] == EVERYWHERE) & (table["window"] == "month")]
    if months.empty:
        return Missing(f"in no month is the status of {MIN_DEVICES} devices known.")
    return Rates(months.reset_index(drop=True), measure_official(table, read_whole(store, OFFICIAL_RATES), study))


def tabulate_months(months: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row a month: ``month``, ``n_devices``, ``is_provisional``, and by weighting the rate in words."""
    rows = []
    for started, of_month in months.groupby("window_started", sort=True):
        words = {
            row.weighting: f"{100 * row.rate:.1f} ({100 * row.rate_low:.1f} to {100 * row.rate_high:.1f})"
            for row in of_month.itertuples()
        }
        empty = dict.fromkeys(WEIGHTINGS)
        n_devices = int(of_month["n_devices"].max())
        is_provisional = bool(of_month["is_provisional"].any())
        month = {"month": f"{started:%Y-%m}", "n_devices": n_devices, "is_provisional": is_provisional}
        rows.append(month | empty | words)
    return rows


def measure_official(table: pd.DataFrame, official: pd.DataFrame | None, study: Study) -> Official | Missing:
    """Return rates beside official series and their correlations; states only, as the official files have them."""
    if study.official_rates is None or official is None:
        return Missing("no [official_rates] in the study, so there is nothing to hold the rates against.")
    there = set(table["weighting"])
    weighting = [name for name in WEIGHTINGS if name in there][-1]
    try:
        compared = compare_rates(table, official, weighting, ASKED)
    except StudyError as error:
        return Missing(f"{error}.")
    series = index_series(table[table["weighting"] == weighting], official)
    return Official(weighting, series, find_lags(compared.correlations), compared.n_regions)


def find_lags(correlations: tuple[Correlation, ...]) -> list[Lagged]:
    """Return one entry a pairing and region that has a correlation; pooled ones left out where there is one region."""
    groups: dict[tuple[str, str, str, bool, str], list[Correlation]] = {}
    for one in correlations:
        groups.setdefault(one[:5], []).append(one)
    n_regions = len({one.region for one in correlations} - {POOLED})
    found = []
    for (*_, region), ones in groups.items():
        known = [one for one in ones if not np.isnan(one.pearson)]
        if region != POOLED or n_regions > 1:
            at_zero = next(one for one in ones if one.lag == 0)
            found.append(Lagged(at_zero, max(known, key=lambda one: one.pearson) if known else None))
    return found


def index_series(rates: pd.DataFrame, official: pd.DataFrame, max_regions: int = MAX_REGIONS) -> pd.DataFrame:
    """Return the months of rates and of official stocks in the regions that have both, each by its own mean.

    `rates` are UNEMPLOYMENT under one weighting; weeks of official series count as the mean over those that start in a
    month. Shown, and averaged over, are the months that all series of a region have, provisional rates left out.
    Regions with most devices first.
    """
    theirs = _monthly(official)
    is_final = (rates["window"] == "month") & ~rates["is_provisional"]
    ours = rates[is_final & rates["region_geoid"].isin(theirs["region"])]
    ours = ours.rename(columns={"region_geoid": "region", "window_started": "started", "rate": "value"})
    ours = ours.rename(columns={"rate_low": "low", "rate_high": "high"}).assign(series="rate")
    n_devices = ours.groupby("region")["n_devices"].max().sort_values(ascending=False, kind="stable")
    both = pd.concat([ours[["region", "series", "started", "value", "low", "high"]], theirs], ignore_index=True)
    parts = [_by_own_mean(both[both["region"] == region]) for region in n_devices.index[:max_regions]]
    return pd.concat(parts, ignore_index=True) if parts else both.iloc[:0]


def _by_own_mean(region: pd.DataFrame) -> pd.DataFrame:
    """Return the months that all series of a region have, by the mean of each; no rows where there are none."""
    n_series = region["series"].nunique()
    is_common = region.groupby("started")["series"].transform("nunique") == n_series
    common = region[is_common & (n_series > 1)]
    mean = common.groupby("series")["value"].transform("mean")
    common = common.assign(**{name: common[name] / mean for name in ("value", "low", "high")})
    return common[mean > 0]


def _monthly(official: pd.DataFrame) -> pd.DataFrame:
    months = official["window_started"].to_numpy().astype("datetime64[M]").astype("datetime64[s]")
    stocks = official.assign(started=months)[official["series"].isin(list(STOCKS))]
    keys = ["region_geoid", "series", "started"]
    return stocks.groupby(keys, as_index=False)["value"].mean().rename(columns={"region_geoid": "region"})
