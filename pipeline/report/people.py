"""The parts of the page about people: what is measured, and the pictures with their words."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from pipeline.engine.store import Store
from pipeline.report import people_figures as figures
from pipeline.report.drawing import Image
from pipeline.report.effects import ALL, MEASURES, draw_effects, draw_groups, group_rows
from pipeline.report.homes import PLACES, ROLES, Homes, measure_homes
from pipeline.report.losses import Losses, measure_losses, measures_of, signed, tabulate_groups
from pipeline.report.missing import Missing
from pipeline.report.panel import WEIGHT_WORDS, Panel, differences, group_words, measure_panel, widest
from pipeline.report.rates import MAX_REGIONS, STOCKS, WEIGHTINGS, Official, Rates, measure_rates, tabulate_months
from pipeline.report.words import format_number, format_percent, fullest_bar
from pipeline.report.working import STATUSES, SectorWeek, Working, join_weeks, measure_sectors, measure_working
from pipeline.study import Study

WEEK_LINES = {"seen": "with a ping", "home": "with a home", "work": "with a workplace"}
OFFICIAL_LINES = {"rate": "This study", **STOCKS}
DRAWN_BY_GROUP = ("gyration_m",)
"""Measures whose groups are drawn; the table has all (ours: the page stays readable)."""


class People(NamedTuple):
    """Each part of the page about people, or why it is left out."""

    homes: Homes | Missing
    panel: Panel | Missing
    working: Working | Missing
    sectors: list[SectorWeek] | Missing
    rates: Rates | Missing
    losses: Losses | Missing


def measure_people(store: Store, study: Study) -> People:
    """Return what the page shows of people, from the tables of a root."""
    return People(
        measure_homes(store, study),
        measure_panel(store, study),
        measure_working(store),
        measure_sectors(store, study),
        measure_rates(store, study),
        measure_losses(store),
    )


def draw_people(people: People) -> dict[str, Image]:
    """Return the images by name; one that would show too few devices is not among them."""
    images: dict[str, Image] = {}
    if not isinstance(people.homes, Missing):
        images |= _draw_homes(people.homes)
    if not isinstance(people.panel, Missing) and not isinstance(people.panel.groups, Missing):
        images["groups"] = _draw_groups_of(people.panel.groups)
    if not isinstance(people.working, Missing):
        images |= _draw_working(people.working)
    if not isinstance(people.rates, Missing):
        images |= _draw_rates(people.rates)
    if not isinstance(people.losses, Missing):
        images |= _draw_losses(people.losses)
    return images


def people_words(people: People) -> dict[str, Any]:
    """Return what the template needs besides: names of columns, and the table of effects by group."""
    losses = None if isinstance(people.losses, Missing) else people.losses
    rates = None if isinstance(people.rates, Missing) else people.rates
    rows = tabulate_months(rates.months) if rates else []
    sectors = [] if isinstance(people.sectors, Missing) else people.sectors
    return {
        "sector_rows": join_weeks(sectors),
        "place_columns": PLACES,
        "rate_titles": WEIGHTINGS,
        "rate_columns": [(name, title) for name, title in WEIGHTINGS.items() if any(row[name] for row in rows)],
        "rate_rows": rows,
        "weight_words": WEIGHT_WORDS,
        "max_regions": MAX_REGIONS,
        "measure_titles": {name: shown.title for name, shown in MEASURES.items()},
        "measure_units": {name: shown.unit for name, shown in MEASURES.items()},
        "drawn_by_group": DRAWN_BY_GROUP,
        "effect_measures": measures_of(losses) if losses else [],
        "effect_rows": tabulate_groups(losses) if losses else [],
    }


def _draw_homes(homes: Homes) -> dict[str, Image]:
    images = {}
    shown = homes.weeks.dropna(subset=["home", "work"], how="all")
    if len(shown):
        first, last = shown.iloc[0], shown.iloc[-1]
        alt = (
            f"Devices by week. With a home: {format_number(first.home)} in the week of {_day(first.started)} and "
            f"{format_number(last.home)} in that of {_day(last.started)}; with a workplace: "
            f"{format_number(first.work)} and {format_number(last.work)}; "
            f"with a ping: {format_number(first.seen)} and {format_number(last.seen)}."
        )
        images["places"] = figures.draw_weeks(homes.weeks, WEEK_LINES, "Devices", alt)
    words = [
        f"{ROLES[role]}: {fullest[0].lower()}{fullest[1:]}, {low:.2f} to {high:.2f}."
        for role, bars in homes.confidence.items()
        if bars
        for fullest, low, high in [fullest_bar(bars, "devices")]
    ]
    if words:
        alt = " ".join(["Histogram of the confidence in the baseline places.", *words])
        images["confidence"] = figures.draw_confidence(homes.confidence, ROLES, alt)
    return images


def _draw_groups_of(groups: pd.DataFrame) -> Image:
    gaps = differences(groups)
    words = []
    for name in gaps:
        group, gap = widest(groups, name)
        words.append(f"{WEIGHT_WORDS[name].lower()} {group}, {signed(100 * gap)}")
    alt = (
        "Share of the sample less that of the population, by group, in percentage points. "
        f"Farthest off: {'; '.join(words)}."
    )
    labels = pd.Series([group_words(axis, group) for axis, group in zip(groups["axis"], groups["group"], strict=True)])
    return figures.draw_differences(gaps, labels, WEIGHT_WORDS, alt)


def _draw_working(working: Working) -> dict[str, Image]:
    shown = working.weeks.dropna(subset=list(STATUSES), how="all")
    if shown.empty:
        return {}
    first, last = shown.iloc[0], shown.iloc[-1]
    words = [
        f"{title.lower()} {format_percent(first[name])} and {format_percent(last[name])}"
        for name, title in STATUSES.items()
    ]
    alt = (
        f"Shares of devices by status and week, first in the week of {_day(first.started)}, then in that of "
        f"{_day(last.started)}: {'; '.join(words)}."
    )
    return {"statuses": figures.draw_statuses(working.weeks, STATUSES, alt)}


def _draw_rates(rates: Rates) -> dict[str, Image]:
    months = rates.months
    words = []
    for name, title in WEIGHTINGS.items():
        rows = months[months["weighting"] == name].sort_values("window_started")
        if len(rows):
            top = rows.loc[rows["rate"].idxmax()]
            words.append(
                f"{title.lower()} {format_percent(rows['rate'].iloc[0])} in the first month and at most "
                f"{format_percent(top['rate'])}, in {top['window_started']:%B %Y}"
                f"{' (provisional)' if top['is_provisional'] else ''}"
            )
    alt = f"Unemployment by month with intervals: {'; '.join(words)}."
    images = {"rates": figures.draw_rates(months, WEIGHTINGS, alt)}
    if not isinstance(rates.official, Missing) and len(rates.official.series):
        images["official"] = _draw_official(rates.official)
    return images


def _draw_official(official: Official) -> Image:
    series = official.series
    n_regions = series["region"].nunique()
    tops = series.loc[series.groupby(["region", "series"])["value"].idxmax()]
    words = [
        f"region {row.region}, {OFFICIAL_LINES[row.series].lower()} {row.value:.2f} in {row.started:%B %Y}"
        for row in tops.itertuples()
    ]
    alt = (
        f"Monthly rates and official series by their own means, {n_regions} region{'s' if n_regions > 1 else ''}. "
        f"Highest: {'; '.join(words)}."
    )
    lines = {name: words for name, words in OFFICIAL_LINES.items() if (series["series"] == name).any()}
    return figures.draw_official(series, lines, alt)


def _draw_losses(losses: Losses) -> dict[str, Image]:
    effects, month = losses.effects, losses.month
    everybody = effects[(effects["axis"] == ALL) & (effects["months_since_loss"] == month)].set_index("measure")
    words = [_effect_words(everybody.loc[name], name) for name in measures_of(losses) if name in everybody.index]
    images = {}
    if words:
        alt = (
            "Difference to matched devices that kept the job, by months since the loss. "
            f"Month {month}: {'; '.join(words)}."
        )
        images["effects"] = draw_effects(effects, alt)
    for name in DRAWN_BY_GROUP:
        rows = group_rows(effects, name, month)
        if len(rows) > 1:
            low, high = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
            alt = (
                f"{MEASURES[name].title} in month {month} since the loss, {len(rows)} groups: from "
                f"{_effect_words(low, name, low.label)} to {_effect_words(high, name, high.label)}."
            )
            images[f"effects_{name}"] = draw_groups(effects, name, month, alt)
    return images


def _effect_words(row: pd.Series, measure: str, who: str | None = None) -> str:
    shown = MEASURES[measure]
    ends = [signed(row[name] / shown.divisor) for name in ("estimate", "estimate_low", "estimate_high")]
    return f"{who or shown.title.lower()} {ends[0]} {shown.unit} ({ends[1]} to {ends[2]})"


def _day(at: pd.Timestamp) -> str:
    return f"{at.day} {at:%B %Y}"
