"""The plots of changes from the baseline over time, with the policies behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation, Transform

from pipeline.report.drawing import BLUE, WIDTH_IN, Image, styled, to_image
from pipeline.report.effects import DARK
from pipeline.report.npi_changes import Changes
from pipeline.report.people_figures import GREEN, ORANGE, Look
from pipeline.report.response_words import fold

PLOT_HEIGHT_IN, KEY_HEIGHT_IN, KEY_ROW_IN = 1.75, 0.5, 0.2
BAND = "#e3e3e3"
BAND_WORDS = "Stringency, 0 to 100 (right)"
LOOKS = (Look(BLUE, "o", "-"), Look(ORANGE, "^", "--"), Look(GREEN, "s", ":"), Look("#cc79a7", "D", "-."))
ORDER_MARKS = ("v", "D", "s", "P")
FULL_SCALE = 100.0
MOST_LETTERS = 20
"""Longer titles of plots are on two lines."""
MAX_SHARED = 3
"""So many words for lines are told once, for all plots."""
MARK_SHARE, MARK_PT = 0.07, 7.0
"""Width of an order's mark, in parts of the plot, and its height in points."""
KEY_BELOW_PT, POINTS_PER_IN = 32.0, 72.0
"""How far below a plot its key begins: under the ticks, of which the first has two lines."""
SHORT_DAYS = 80
"""Shorter spans have days at their axis, others months."""
KEY_STYLE: dict[str, Any] = {"frameon": False, "columnspacing": 1.2, "handlelength": 1.8, "handletextpad": 0.5}


class Plot(NamedTuple):
    """One of several small plots: what is drawn in it."""

    title: str
    region: str
    lines: Mapping[str, str]
    """Measure → what its line is called."""


def draw_changes(changes: Changes, plots: list[Plot], alt: str) -> Image:
    """Return changes by week in small plots: each with the stringency of its region as a band, and order dates above.

    What lines are called is told once where few words do for all plots, else below each plot.
    """
    words = list(dict.fromkeys(name for plot in plots for name in plot.lines.values()))
    is_shared = len(words) <= MAX_SHARED
    n_rows = -(-len(plots) // 2)
    with styled():
        keys = [*(_line_keys(words) if is_shared else ()), *_policy_keys(changes, plots)]
        most_lines = 0 if is_shared else max(len(plot.lines) for plot in plots)
        height = (PLOT_HEIGHT_IN + KEY_ROW_IN * most_lines) * n_rows + KEY_HEIGHT_IN + KEY_ROW_IN * -(-len(keys) // 2)
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        limits = _limits(changes, plots)
        for k, plot in enumerate(plots):
            axes = figure.add_subplot(n_rows, min(2, len(plots)), k + 1)
            looks = dict(zip(words if is_shared else plot.lines.values(), LOOKS, strict=False))
            _draw_plot(axes, changes, plot, looks)
            _draw_band(axes, changes, plot.region, has_scale=k % 2 == 1 or k == len(plots) - 1)
            _mark_orders(axes, changes.orders, plot.region, limits)
            _week_axis(axes, limits)
            if not is_shared:
                _add_key_below(axes)
        figure.legend(handles=keys, loc="outside upper center", ncols=2, **KEY_STYLE, fontsize="small")
        figure.supylabel("Change from baseline", fontsize="medium")
        return to_image(figure, alt)


def _draw_plot(axes: Axes, changes: Changes, plot: Plot, looks: Mapping[str, Look]) -> None:
    axes.axhline(0, color=DARK, linewidth=0.8)
    for measure, words in plot.lines.items():
        rows, look = rows_of(changes.weeks, plot.region, measure), looks[words]
        axes.plot(
            rows["week"], 100 * np.expm1(rows["change"]), label=words, color=look.color, linestyle=look.line,
            marker=look.marker, markersize=2, linewidth=1.3,
        )  # fmt: skip
    axes.set_title(fold(plot.title, MOST_LETTERS), loc="left", fontsize="medium", pad=4)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    axes.tick_params(labelsize="small")


def _add_key_below(axes: Axes) -> None:
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.05, 0), bbox_transform=_above(axes.transAxes, axes, -KEY_BELOW_PT),
        fontsize="x-small", borderaxespad=0, borderpad=0.1, labelspacing=0.2, **KEY_STYLE,
    )  # fmt: skip


def _above(transform: Transform, axes: Axes, points: float) -> Transform:
    """Return a transform to so many points above (negative: below) where another leads, whatever the plot's height."""
    return transform + ScaledTranslation(0, points / POINTS_PER_IN, axes.get_figure(root=True).dpi_scale_trans)


def rows_of(weeks: pd.DataFrame, region: str, measure: str) -> pd.DataFrame:
    """Return the weeks of one measure in one region, in order."""
    return weeks[(weeks["region_geoid"] == region) & (weeks["measure"] == measure)].sort_values("week")


def percent_tick(value: float, _: int | None = None) -> str:
    """Return a tick in per cent, its minus sign as long as a plus."""
    digits = f"{value:+.3g}" if abs(value) < 1000 else f"{value:+,.0f}"
    return f"{digits} %".replace("-", "\N{MINUS SIGN}") if value else "0 %"


def _draw_band(axes: Axes, changes: Changes, region: str, has_scale: bool) -> None:
    """Draw stringency behind the lines, on a scale of its own at the right."""
    rows = changes.stringency[changes.stringency["region_geoid"] == region].sort_values("week")
    if rows.empty:
        return
    behind = axes.twinx()
    behind.fill_between(rows["week"], rows["stringency"].astype(float), step="mid", color=BAND, linewidth=0)
    behind.set_ylim(0, FULL_SCALE)
    behind.set_yticks([0, FULL_SCALE / 2, FULL_SCALE] if has_scale else [])
    behind.tick_params(labelsize="small", colors="#707070", length=2)
    behind.grid(False)
    behind.spines[:].set_visible(False)
    behind.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)


def _mark_orders(axes: Axes, orders: pd.DataFrame, region: str, limits: tuple[pd.Timestamp, pd.Timestamp]) -> None:
    """Mark the dates of orders above the plot, near ones above each other; a line leads down from each."""
    looks = dict(zip(sorted(set(orders["order"])), ORDER_MARKS, strict=False))
    rows = orders[(orders["region_geoid"] == region) & orders["ordered_on"].between(*limits)].sort_values("ordered_on")
    levels = stack(rows["ordered_on"], MARK_SHARE * (limits[1] - limits[0]))
    for row, level in zip(rows.itertuples(), levels, strict=True):
        axes.axvline(row.ordered_on, color=DARK, linewidth=0.6, linestyle=":")
        axes.plot(
            [row.ordered_on], [1.0], marker=looks[row.order], markersize=4, color=DARK, linestyle="none",
            markerfacecolor="white", transform=_above(axes.get_xaxis_transform(), axes, MARK_PT * (0.6 + level)),
            clip_on=False,
        )  # fmt: skip
    if levels:
        axes.set_title(axes.get_title(loc="left"), loc="left", fontsize="medium", pad=4 + MARK_PT * (max(levels) + 1))


def stack(dates: pd.Series, width: pd.Timedelta) -> list[int]:
    """Return the level of each of the dates, which are in order: the lowest that has nothing within `width` before."""
    last: list[pd.Timestamp] = []
    levels = []
    for at in dates:
        level = next((k for k, before in enumerate(last) if at - before >= width), len(last))
        last[level : level + 1] = [at]
        levels.append(level)
    return levels


def _line_keys(words: list[str]) -> list[Artist]:
    return [
        Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, markersize=3, label=name)
        for look, name in zip(LOOKS, words, strict=False)
    ]


def _policy_keys(changes: Changes, plots: list[Plot]) -> list[Artist]:
    regions = {plot.region for plot in plots}
    has_band = changes.stringency["region_geoid"].isin(regions).any()
    marked = set(changes.orders.loc[changes.orders["region_geoid"].isin(regions), "order"])
    style = {"markersize": 4, "color": DARK, "markerfacecolor": "white", "linestyle": "none"}
    return [
        *([Patch(color=BAND, label=BAND_WORDS)] if has_band else ()),
        *(
            Line2D([], [], marker=mark, label=order.replace("_", " "), **style)
            for order, mark in zip(sorted(set(changes.orders["order"])), ORDER_MARKS, strict=False)
            if order in marked
        ),
    ]


def _limits(changes: Changes, plots: list[Plot]) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and the last week of all plots, so that they can be read across."""
    shown = changes.weeks[
        changes.weeks["region_geoid"].isin([plot.region for plot in plots])
        & changes.weeks["measure"].isin([measure for plot in plots for measure in plot.lines])
    ]["week"]
    return shown.min() - pd.Timedelta(days=4), shown.max() + pd.Timedelta(days=7)


def _week_axis(axes: Axes, limits: tuple[pd.Timestamp, pd.Timestamp]) -> None:
    axes.set_xlim(*limits)
    if limits[1] - limits[0] < pd.Timedelta(days=80):
        axes.xaxis.set_major_locator(
            mdates.WeekdayLocator(mdates.MO, interval=max(1, (limits[1] - limits[0]).days // 28))
        )
        axes.xaxis.set_major_formatter(mdates.DateFormatter("%d\n%b"))
        return
    months = pd.date_range(limits[0], limits[1], freq="MS")
    step = -(-len(months) // 5)
    shown = months[::step]
    years = [None, *(month.year for month in shown)]
    names = [f"{at:%b\n%Y}" if at.year != before else f"{at:%b}" for at, before in zip(shown, years, strict=False)]
    axes.set_xticks(shown, names)


def describe_lines(changes: Changes, plots: Iterable[Plot]) -> str:
    """Return in words by how much each line is lowest and highest, for who cannot see it: in per cent."""
    told = []
    for plot in plots:
        for measure, words in plot.lines.items():
            change = 100 * np.expm1(rows_of(changes.weeks, plot.region, measure)["change"].dropna())
            if len(change):
                ends = f"{change.min():+.0f} to {change.max():+.0f} %".replace("-", "\N{MINUS SIGN}")
                told.append(f"{plot.title}, {words.lower()}: {ends}")
    return "; ".join(told)
