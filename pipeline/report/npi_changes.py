"""Changes from the baseline as the page shows them: by week and region, with the policies of the same weeks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd

from pipeline.id_join import longest_prefixes
from pipeline.report.response_words import EVERYWHERE
from pipeline.windows import WEEK_DAYS

MAX_REGIONS = 6
"""So many regions are drawn one by one: those with most devices (ours)."""
MAX_ORDERS = 3
"""So many kinds of order are marked: those that most regions have; of one date for all last (ours)."""
MAX_CATEGORIES = 6
"""So many categories of venues are drawn: those with most visits (ours)."""
OF_CATEGORY = "visits:venue:"
SPAN_WEEKS = 4
"""Weeks that a map is the mean over (ours)."""
MIN_DAYS = 3
"""A week is shown with so many days on which the change is known (ours), or as many as the fullest week has."""
WEEK = pd.Timedelta(days=WEEK_DAYS)
OF_REGION = ["region_geoid", "measure"]


class Span(NamedTuple):
    """The weeks that a map is of."""

    first: pd.Timestamp
    last: pd.Timestamp
    """Mondays of the first and the last of them."""
    is_strictest: bool
    """They are those with the strictest policies; else the last."""


class Changes(NamedTuple):
    """Changes of everybody from the baseline, and what there was to answer to."""

    weeks: pd.DataFrame
    """``region_geoid``, ``measure``, ``week`` (its Monday), ``change`` (mean log change), ``n_devices`` (of the mean
    day); a week that is missing between others is a row without a change."""
    stringency: pd.DataFrame
    """``region_geoid``, ``week``, ``stringency``: those of the region, and of everywhere where they are known."""
    orders: pd.DataFrame
    """``region_geoid``, ``order``, ``ordered_on``; everywhere: the median over regions."""
    regions: list[str]
    """Regions that are drawn one by one."""
    n_regions: int
    """Regions that there are."""
    categories: list[str]
    """Categories of venues that are drawn one by one: those with most visits."""
    span: Span | None
    """What maps are of; None where no week has a change."""


def summarize_changes(
    changes: pd.DataFrame,
    policies: pd.DataFrame | None,
    orders: pd.DataFrame | None,
    preferred: Iterable[str] = (),
    most_regions: int = MAX_REGIONS,
) -> Changes:
    """Return what is shown of rows of REGION_CHANGES, NPI_POLICIES and NPI_ORDERS; None: there are none."""
    weeks = weekly_changes(changes)
    regions = sorted(set(weeks["region_geoid"]) - {EVERYWHERE})
    stringency = weekly_stringency(policies, weeks, regions)
    return Changes(
        weeks,
        stringency,
        orders_of(orders, regions),
        choose_regions(weeks, preferred, most_regions),
        len(regions),
        choose_categories(changes),
        choose_span(weeks, stringency),
    )


def weekly_changes(changes: pd.DataFrame, min_days: int = MIN_DAYS) -> pd.DataFrame:
    """Return the mean log change of everybody by region, measure and week, gaps between weeks filled with NaN."""
    known = changes[(changes["axis"] == EVERYWHERE) & changes["log_change"].notna()]
    week = known["date"] - pd.to_timedelta(known["date"].dt.day_of_week, unit="D")
    grouped = known.assign(week=week).groupby([*OF_REGION, "week"])
    rows = grouped.agg(change=("log_change", "mean"), n_days=("date", "size"), n_devices=("n_devices", "mean"))
    rows = rows.reset_index()
    fullest = rows.groupby("measure")["n_days"].transform("max")
    rows = rows[rows["n_days"] >= np.minimum(fullest, min_days)].drop(columns="n_days")
    parts = [_with_gaps(part) for _, part in rows.groupby(OF_REGION)]
    return pd.concat(parts, ignore_index=True) if parts else rows


def _with_gaps(part: pd.DataFrame) -> pd.DataFrame:
    weeks = pd.date_range(part["week"].min(), part["week"].max(), freq=WEEK, unit="ns")
    filled = part.assign(week=part["week"].astype("datetime64[ns]")).set_index("week").reindex(weeks)
    filled[OF_REGION] = filled[OF_REGION].ffill()
    return filled.rename_axis("week").reset_index()


def weekly_stringency(policies: pd.DataFrame | None, weeks: pd.DataFrame, regions: list[str]) -> pd.DataFrame:
    """Return the mean stringency of each week by region, and everywhere: that of regions by their devices.

    Of weeks that have a change of some measure. Regions without policies have no rows.
    """
    columns = ["region_geoid", "week", "stringency"]
    if policies is None or weeks.empty:
        return pd.DataFrame(columns=columns)
    week = policies["date"] - pd.to_timedelta(policies["date"].dt.day_of_week, unit="D")
    by_week = policies.assign(week=week.astype("datetime64[ns]")).groupby(["region_geoid", "week"])["stringency"].mean()
    by_week = by_week.reset_index().rename(columns={"region_geoid": "holder"})
    held = pd.DataFrame({"region_geoid": regions, "holder": longest_prefixes(regions, by_week["holder"])})
    n_devices = weeks.groupby(["region_geoid", "week"])["n_devices"].max().reset_index()
    rows = held.merge(by_week, on="holder").merge(n_devices, on=["region_geoid", "week"])
    return pd.concat([rows[columns], _everywhere(rows, by_week, weeks)], ignore_index=True)


def _everywhere(rows: pd.DataFrame, by_week: pd.DataFrame, weeks: pd.DataFrame) -> pd.DataFrame:
    """Return the stringency of everybody: the mean by devices, or the only policies of a study without regions."""
    shown = set(weeks.loc[weeks["region_geoid"] == EVERYWHERE, "week"])
    if rows.empty:
        is_one = by_week["holder"].nunique() == 1 and set(weeks["region_geoid"]) == {EVERYWHERE}
        found = by_week[by_week["week"].isin(shown)] if is_one else by_week.iloc[:0]
        return found[["week", "stringency"]].assign(region_geoid=EVERYWHERE)
    weight = rows["n_devices"].fillna(0.0)
    sums = rows.assign(weight=weight, held=weight * rows["stringency"]).groupby("week")[["weight", "held"]].sum()
    mean = (sums["held"] / sums["weight"].where(sums["weight"] > 0)).dropna().rename("stringency").reset_index()
    return mean[mean["week"].isin(shown)].assign(region_geoid=EVERYWHERE)


def orders_of(orders: pd.DataFrame | None, regions: list[str], most: int = MAX_ORDERS) -> pd.DataFrame:
    """Return the dates of the orders that most regions have, of orders of a single date last.

    By region, and everywhere: the median over regions with one. A region has the orders of the region with the longest
    id that begins its own, so that one whose own row has no date was never ordered, whatever its state was.
    """
    columns = ["region_geoid", "order", "ordered_on"]
    if orders is None:
        return pd.DataFrame(columns=columns)
    found = []
    for order, rows in orders.groupby("order"):
        on = rows.set_index("region_geoid")["ordered_on"]
        holders = zip(regions, longest_prefixes(regions, on.index), strict=True)
        found += [(region, order, on[holder]) for region, holder in holders if holder and not pd.isna(on[holder])]
    rows = pd.DataFrame(found, columns=columns)
    counts = rows.groupby("order")["ordered_on"].agg(["nunique", "size"])
    counts = counts.assign(differs=counts["nunique"] > 1)
    kept = counts.sort_values(["differs", "size"], ascending=False, kind="stable").index[:most]
    rows = rows[rows["order"].isin(kept)]
    median = rows.groupby("order")["ordered_on"].quantile(0.5, interpolation="lower").reset_index()
    return pd.concat([rows, median.assign(region_geoid=EVERYWHERE)], ignore_index=True)[columns]


def choose_regions(weeks: pd.DataFrame, preferred: Iterable[str], most: int) -> list[str]:
    """Return the regions that are drawn one by one: those asked for as far as there are any, else with most devices."""
    n_devices = weeks[weeks["region_geoid"] != EVERYWHERE].groupby("region_geoid")["n_devices"].mean()
    asked = [region for region in preferred if region in n_devices.index]
    largest = n_devices.sort_values(ascending=False, kind="stable").index[:most]
    return asked or list(largest)


def choose_categories(changes: pd.DataFrame, most: int = MAX_CATEGORIES) -> list[str]:
    """Return the categories of venues with most visits of everybody in the baseline, most first."""
    rows = changes[(changes["region_geoid"] == EVERYWHERE) & (changes["axis"] == EVERYWHERE)]
    rows = rows[rows["measure"].str.startswith(OF_CATEGORY)]
    usual = rows.groupby("measure")["baseline"].mean().dropna().sort_values(ascending=False, kind="stable")
    return [measure.removeprefix(OF_CATEGORY) for measure in usual.index[:most]]


def choose_span(weeks: pd.DataFrame, stringency: pd.DataFrame, n_weeks: int = SPAN_WEEKS) -> Span | None:
    """Return the weeks in a row with the strictest policies, the first of such; the last weeks where none are known."""
    if weeks["change"].isna().all():
        return None
    known = weeks.loc[weeks["change"].notna(), "week"]
    mean = stringency.groupby("week")["stringency"].mean()
    mean = mean.reindex(pd.date_range(known.min(), known.max(), freq=WEEK, unit="ns")).rolling(n_weeks).mean()
    last = known.max() if mean.isna().all() else mean.idxmax()
    return Span(max(last - (n_weeks - 1) * WEEK, known.min()), last, bool(mean.notna().any()))


def mean_changes(changes: Changes, measures: Iterable[str]) -> pd.DataFrame:
    """Return the mean log change over the span by region and measure; of regions with half of its weeks or more."""
    if changes.span is None:
        return pd.DataFrame(columns=[*OF_REGION, "change"])
    weeks = changes.weeks
    inside = weeks[weeks["week"].between(changes.span.first, changes.span.last) & weeks["measure"].isin(list(measures))]
    inside = inside[inside["region_geoid"] != EVERYWHERE]
    means = inside.groupby(OF_REGION)["change"].agg(["mean", "count"]).reset_index()
    n_weeks = (changes.span.last - changes.span.first) / WEEK + 1
    return means.loc[means["count"] >= n_weeks / 2, [*OF_REGION, "mean"]].rename(columns={"mean": "change"})


def dissolve_areas(areas: gpd.GeoSeries, regions: Iterable[str]) -> gpd.GeoSeries:
    """Return the outlines of regions: areas whose ids begin alike, as many digits as regions have, become one.

    Areas of no region are regions without a change. Ids of regions are of one length.
    """
    digits = max((len(region) for region in regions), default=0)
    frame = gpd.GeoDataFrame({"region_geoid": areas.index.str[:digits]}, geometry=areas.to_numpy(), crs=areas.crs)
    return frame.dissolve("region_geoid").geometry
