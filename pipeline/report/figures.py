"""The plots of the report, each drawn from a small frame."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pipeline.report.drawing import BLUE, GREY, Image, few_to_many, new_axes, styled, to_image
from pipeline.report.exploring import Curve
from pipeline.report.groups import Bars

DWELL_TICKS_S = {60: "1 min", 300: "5 min", 1800: "30 min", 7200: "2 h", 36000: "10 h", 259_200: "3 d"}
DWELL_TICKS_S |= {2_592_000: "30 d", 31_536_000: "1 y"}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def draw_log_bars(bars: Bars, unit: float, label: str, rows: str, alt: str) -> Image:
    """Return a histogram over a logarithmic axis: share of `rows` per doubling.

    `unit` divides the borders, so that 1000 turns metres into kilometres.
    """
    with styled():
        figure, axes = new_axes()
        _draw_bars(axes, bars.edges / unit, bar_heights(np.log2(bars.edges), bars.shares))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.set_xlabel(label)
        axes.set_ylabel(f"Share of {rows}\nper doubling")
        return to_image(figure, alt)


def bar_heights(measure: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return how high bars between `measure` are drawn: their share per unit of it.

    So the area of a bar is its share, however many bins were merged into it.
    """
    return shares / np.diff(measure)


def _draw_bars(axes: Axes, edges: np.ndarray, heights: np.ndarray) -> None:
    axes.bar(edges[:-1], heights, width=np.diff(edges), align="edge", color=BLUE, edgecolor="white", linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    axes.grid(axis="x", visible=False)


def draw_dwell(bars: Bars, alt: str) -> Image:
    """Return the histogram of dwell over a logarithmic axis with ticks in minutes, hours and days."""
    with styled():
        figure, axes = new_axes()
        _draw_bars(axes, bars.edges, bar_heights(np.log2(bars.edges), bars.shares))
        axes.set_xscale("log")
        ticks = {at: text for at, text in DWELL_TICKS_S.items() if bars.edges[0] <= at <= bars.edges[-1]}
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("Dwell (log scale)")
        axes.set_ylabel("Share of stays\nper doubling")
        return to_image(figure, alt)


def draw_hours(bars: Bars, alt: str) -> Image:
    """Return the histogram of observed hours per device-day; the last hour stands for 24 and more."""
    with styled():
        figure, axes = new_axes()
        _draw_bars(axes, bars.edges - 0.5, bar_heights(bars.edges, bars.shares))
        axes.set_xticks([1, 6, 12, 18, 24], ["1", "6", "12", "18", "24+"])
        axes.set_xlim(0, 25)
        axes.set_xlabel("Observed hours of a device-day")
        axes.set_ylabel("Share of device-days\nper hour")
        return to_image(figure, alt)


def draw_periods(periods: pd.DataFrame, kind: str, alt: str) -> Image:
    """Return devices per day, week or month over the whole study; few or none is a gap in the line."""
    with styled():
        figure, axes = new_axes()
        started = pd.DatetimeIndex(periods["started"])
        axes.plot(started, periods["n_devices"], color=BLUE, marker="o", markersize=3, linewidth=1.5)
        half = pd.Timedelta(days={"day": 1, "week": 7, "month": 30}[kind]) / 2
        axes.set_xlim(started[0] - half, started[-1] + half)
        axes.set_ylim(0, 1.1 * periods["n_devices"].max())
        axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=2, maxticks=4))
        axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b" if kind == "day" else "%b %Y"))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        years = "–".join(str(year) for year in sorted({started[0].year, started[-1].year}))
        axes.set_xlabel(f"Local date, {years}" if kind == "day" else f"Local {kind}")
        axes.set_ylabel("Devices with a ping")
        return to_image(figure, alt)


def draw_exploration(curve: Curve, alt: str) -> Image:
    """Return the exploration curve with its 95 % band."""
    with styled():
        figure, axes = new_axes()
        points = curve.points
        axes.fill_between(points["day"], points["low"], points["high"], color=BLUE, alpha=0.25, linewidth=0)
        axes.plot(points["day"], points["n_locations"], color=BLUE, linewidth=2)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.set_xlabel("Days since the first visit")
        axes.set_ylabel("Distinct locations S(t)")
        return to_image(figure, alt)


def draw_week(rates: Sequence[float], alt: str) -> Image:
    """Return stays per 100 device-days by local hour of the week, as seven rows of 24; missing is hatched."""
    with styled():
        figure, axes = new_axes()
        grid = np.ma.masked_invalid(np.asarray(rates, float).reshape(7, 24))
        axes.set_facecolor(GREY)
        axes.patch.set_hatch("////")
        axes.patch.set_edgecolor("white")
        mesh = axes.pcolormesh(np.arange(25), np.arange(8), grid, cmap=few_to_many(), vmin=0, edgecolors="none")
        axes.invert_yaxis()
        axes.set_yticks(np.arange(7) + 0.5, WEEKDAYS)
        axes.set_xticks([0, 6, 12, 18, 24])
        axes.grid(visible=False)
        axes.tick_params(left=False)
        axes.set_xlabel("Local hour in which the stay starts")
        _add_scale(figure, axes, mesh, "Stays per 100 device-days")
        return to_image(figure, alt)


def _add_scale(figure: Figure, axes: Axes, mesh: QuadMesh, label: str) -> None:
    bar = figure.colorbar(mesh, ax=axes, orientation="horizontal", fraction=0.06, pad=0.03, aspect=30)
    bar.outline.set_visible(False)
    bar.set_label(label)
