"""The plots of people: homes and workplaces, groups of the panel, statuses and rates, each from a small frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from pipeline.report.drawing import BLUE, HEIGHT_IN, WIDTH_IN, Image, new_axes, styled, to_image
from pipeline.report.effects import DARK, FRAME_HEIGHT_IN, ROW_HEIGHT_IN
from pipeline.report.figures import bar_heights
from pipeline.report.groups import Bars

ORANGE, GREEN = "#d55e00", "#009e73"
"""Okabe and Ito's vermilion and green: told apart from blue by colour-blind readers, and by marks in grey print."""


class Look(NamedTuple):
    """How one of a few lines is drawn."""

    color: str
    marker: str
    line: str


LOOKS = (Look(BLUE, "o", "-"), Look(GREEN, "s", "--"), Look(ORANGE, "^", ":"))
HALF_WEEK = pd.Timedelta(days=3.5)
PANEL_HEIGHT_IN = 1.9
CONFIDENCE_STEP = 0.05
"""Width of the narrowest bars of confidence."""


def draw_weeks(weeks: pd.DataFrame, names: Mapping[str, str], label: str, alt: str) -> Image:
    """Return counts of devices by week, one line a column of `names`; what is missing is a gap."""
    with styled():
        figure, axes = new_axes()
        _draw_lines(axes, weeks, names)
        _count_axis(axes, label)
        _week_axis(axes, weeks["started"])
        _add_key(figure, axes)
        return to_image(figure, alt)


def draw_statuses(weeks: pd.DataFrame, names: Mapping[str, str], alt: str) -> Image:
    """Return shares of devices by status and week, above the number of devices they are shares of."""
    with styled():
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN + 1), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _draw_lines(upper, weeks, names)
        _share_axis(upper, "Share of devices\nof known status")
        lower.plot(weeks["started"], weeks["n_known"], color=DARK, marker="o", markersize=2.5, linewidth=1.2)
        _count_axis(lower, "Devices", nbins=3)
        _week_axis(lower, weeks["started"])
        _add_key(figure, upper)
        return to_image(figure, alt)


def _draw_lines(axes: Axes, weeks: pd.DataFrame, names: Mapping[str, str]) -> None:
    for look, (name, words) in zip(LOOKS, names.items(), strict=False):
        _plot(axes, weeks["started"], weeks[name], look, words)


def _add_key(figure: Figure, axes: Axes) -> None:
    """Say above the plots what each line is: the same in all of them."""
    handles, words = axes.get_legend_handles_labels()
    figure.legend(
        handles, words, loc="outside upper center", ncols=3, frameon=False,
        columnspacing=1.0, handlelength=1.8, handletextpad=0.4,
    )  # fmt: skip


def _plot(axes: Axes, at: ArrayLike, values: ArrayLike, look: Look, words: str) -> None:
    axes.plot(
        at, values, label=words, color=look.color, marker=look.marker, linestyle=look.line, markersize=3, linewidth=1.5
    )


def _count_axis(axes: Axes, label: str, nbins: int = 5) -> None:
    axes.set_ylim(0, max(1.05 * axes.dataLim.y1, 1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=nbins, integer=True))
    axes.set_ylabel(label)


def _share_axis(axes: Axes, label: str) -> None:
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    axes.set_ylabel(label)


def _week_axis(axes: Axes, started: pd.Series) -> None:
    at = pd.DatetimeIndex(started)
    axes.set_xlim(at[0] - HALF_WEEK, at[-1] + HALF_WEEK)
    if at[-1] - at[0] < pd.Timedelta(days=100):
        axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=1, maxticks=5))
        axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
        axes.set_xlabel(f"Week from Monday, {at[0].year}")
    else:
        months = pd.date_range(at[0], at[-1], freq="MS")
        shown, names = _month_names(months, most=7)
        axes.set_xticks(months[shown], names)
        axes.set_xlabel("Week")


def draw_confidence(bars: Mapping[str, Bars | None], names: Mapping[str, str], alt: str) -> Image:
    """Return histograms of the confidence in main places, one small plot a role that has enough devices."""
    shown = {role: found for role, found in bars.items() if found}
    with styled():
        figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * len(shown)), layout="constrained")
        for k, (role, found) in enumerate(shown.items()):
            axes = figure.add_subplot(len(shown), 1, k + 1)
            heights = bar_heights(found.edges, found.shares) * CONFIDENCE_STEP
            axes.bar(
                found.edges[:-1], heights, width=np.diff(found.edges), align="edge",
                color=BLUE, edgecolor="white", linewidth=0.8,
            )  # fmt: skip
            axes.set_xlim(min(0.5, found.edges[0]), 1)
            axes.grid(axis="x", visible=False)
            axes.set_title(names[role], loc="left")
            _share_axis(axes, f"Share of devices\nper {CONFIDENCE_STEP}")
        axes.set_xlabel("Confidence")
        return to_image(figure, alt)


def draw_differences(gaps: pd.DataFrame, labels: pd.Series, names: Mapping[str, str], alt: str) -> Image:
    """Return by how much groups are over-represented, in percentage points: a row a group, a mark a weighting.

    `gaps` has a column for each weighting that is known; axes are told apart by what comes before a colon in `labels`.
    """
    axis = labels.str.partition(":")[0]
    place = np.arange(len(labels)) + 0.6 * ((axis != axis.shift()).cumsum() - 1).to_numpy()
    with styled():
        figure, axes = new_axes(FRAME_HEIGHT_IN + 0.3 + ROW_HEIGHT_IN * len(labels))
        axes.axvline(0, color=DARK, linewidth=0.8)
        for look, name in zip(LOOKS, gaps, strict=False):
            axes.plot(
                100 * gaps[name], place, label=names[name], color=look.color, marker=look.marker, linestyle="none",
                markersize=5, markerfacecolor="white" if name == "unweighted" else look.color,
            )  # fmt: skip
        axes.set_yticks(place, labels)
        axes.set_ylim(place[-1] + 0.6, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.grid(axis="y", visible=False)
        axes.tick_params(left=False)
        axes.set_xlabel("Percentage points")
        _add_key(figure, axes)
        return to_image(figure, alt)


def draw_rates(months: pd.DataFrame, names: Mapping[str, str], alt: str) -> Image:
    """Return monthly rates with their intervals, one mark a weighting, side by side; hollow where provisional."""
    with styled():
        figure, axes = new_axes()
        there = [name for name in names if (months["weighting"] == name).any()]
        first = months["window_started"].min()
        for k, (look, name) in enumerate(zip(LOOKS, there, strict=False)):
            rows = months[months["weighting"] == name]
            at = _months_since(rows["window_started"], first) + 0.18 * (k - (len(there) - 1) / 2)
            ends = [rows["rate"] - rows["rate_low"], rows["rate_high"] - rows["rate"]]
            axes.errorbar(
                at, rows["rate"], ends, label=names[name], color=look.color, marker=look.marker, linestyle="none",
                markersize=4, linewidth=1.2,
            )  # fmt: skip
            hollow = rows["is_provisional"].to_numpy(bool)
            axes.plot(
                at[hollow], rows["rate"][hollow], color="white", markeredgecolor=look.color, marker=look.marker,
                linestyle="none", markersize=4, zorder=3,
            )  # fmt: skip
        _month_axis(axes, months["window_started"])
        _share_axis(axes, "Share of devices\nwith a workplace")
        _add_key(figure, axes)
        return to_image(figure, alt)


def draw_official(series: pd.DataFrame, names: Mapping[str, str], alt: str) -> Image:
    """Return rates beside official series, each by its own mean, one small plot a region; `names` from the first on."""
    regions = list(series["region"].unique())
    n_columns = min(2, len(regions))
    n_rows = -(-len(regions) // n_columns)
    with styled():
        figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * n_rows + 0.7), layout="constrained")
        panels = [figure.add_subplot(n_rows, n_columns, k + 1) for k in range(len(regions))]
        for axes, region in zip(panels, regions, strict=True):
            _draw_region(axes, series[series["region"] == region], series["started"], names)
            axes.set_title(f"Region {region}", loc="left")
        _add_key(figure, panels[0])
        figure.supylabel("By the mean of these months", fontsize="medium")
        return to_image(figure, alt)


def _draw_region(axes: Axes, rows: pd.DataFrame, started: pd.Series, names: Mapping[str, str]) -> None:
    for look, (name, words) in zip(LOOKS, names.items(), strict=False):
        one = rows[rows["series"] == name]
        at = _months_since(one["started"], started.min())
        # A month that is not there is a gap in the line.
        one = one.set_axis(at).reindex(np.arange(at.min(), at.max() + 1)) if len(one) else one.set_axis(at)
        if name == "rate":
            axes.fill_between(one.index, one["low"], one["high"], color=BLUE, alpha=0.2, linewidth=0)
        _plot(axes, one.index, one["value"], look, words)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    _month_axis(axes, started, most=4)


def _months_since(started: pd.Series, first: pd.Timestamp) -> np.ndarray:
    at = pd.DatetimeIndex(started)
    return np.asarray(12 * (at.year - first.year) + at.month - first.month, float)


def _month_axis(axes: Axes, started: pd.Series, most: int = 9) -> None:
    months = pd.date_range(started.min(), started.max(), freq="MS")
    axes.set_xticks(*_month_names(months, most))
    axes.set_xlim(-0.5, len(months) - 0.5)
    axes.grid(axis="x", visible=False)


def _month_names(months: pd.DatetimeIndex, most: int) -> tuple[list[int], list[str]]:
    """Return which months are named, every few where there are many, and how: the year with the first of each."""
    shown = list(range(0, len(months), -(-len(months) // most)))
    years = [months[k].year for k in shown]
    is_first = [year != before for year, before in zip(years, [None, *years], strict=False)]
    return shown, [
        f"{months[k]:%b\n%Y}" if first else f"{months[k]:%b}" for k, first in zip(shown, is_first, strict=True)
    ]
