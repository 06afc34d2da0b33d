"""The plots of what changes after a job loss, each drawn from the table `employment_effects`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.report.drawing import BLUE, WIDTH_IN, Image, new_axes, styled, to_image

PANEL_HEIGHT_IN, ROW_HEIGHT_IN, FRAME_HEIGHT_IN = 1.75, 0.24, 1.0
ALL = "all"
DARK = "#404040"


class Measure(NamedTuple):
    """How a measure of the table is shown."""

    title: str
    unit: str
    divisor: float = 1.0
    """What turns the table's unit into `unit`."""


MEASURES = {
    "gyration_m": Measure("Radius of gyration", "km", 1000.0),
    "entropy_bits": Measure("Entropy", "bits"),
    "n_familiar": Measure("Familiar locations", "locations"),
    "n_locations": Measure("Distinct locations", "a week"),
    "n_new_locations": Measure("New locations", "a week"),
}


def draw_effects(effects: pd.DataFrame, alt: str) -> Image:
    """Return the effect on everybody by months since the loss, one small plot a measure, with 95 % intervals.

    `effects` are rows of `employment_effects`, of which at least one is of everybody (axis "all").
    """
    rows = effects[effects["axis"] == ALL]
    measures = [name for name in MEASURES if (rows["measure"] == name).any()]
    with styled():
        n_rows = -(-len(measures) // 2)
        figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * n_rows), layout="constrained")
        axes = [figure.add_subplot(n_rows, 2, k + 1) for k in range(len(measures))]
        for one, name in zip(axes, measures, strict=True):
            _draw_months(one, rows[rows["measure"] == name].sort_values("months_since_loss"), MEASURES[name])
        _share_months(axes)
        figure.supxlabel("Months of 28 days since the job loss", fontsize="medium")
        return to_image(figure, alt)


def _draw_months(axes: Axes, rows: pd.DataFrame, measure: Measure) -> None:
    month = rows["months_since_loss"].to_numpy(float)
    estimate, low, high = (
        rows[name].to_numpy(float) / measure.divisor for name in ("estimate", "estimate_low", "estimate_high")
    )
    axes.axhline(0, color=DARK, linewidth=0.8)
    axes.axvline(-0.5, color=DARK, linewidth=0.8, linestyle=":")
    axes.errorbar(
        month, estimate, [estimate - low, high - estimate], fmt="o", color=BLUE, markersize=3.5, linewidth=1.2
    )
    # What the differences are taken from is no estimate.
    is_reference = rows["std_error"].to_numpy() == 0
    axes.plot(
        month[is_reference], estimate[is_reference], "o", color="white", markeredgecolor=BLUE, markersize=3.5, zorder=3
    )
    axes.set_title(measure.title, loc="left")
    axes.set_ylabel(measure.unit)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))


def _share_months(axes: list[Axes]) -> None:
    """Give all plots the same months, so that they can be read across."""
    limits = np.array([one.get_xlim() for one in axes])
    for one in axes:
        one.set_xlim(limits[:, 0].min(), limits[:, 1].max())
        one.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def draw_groups(effects: pd.DataFrame, measure: str, month: int, alt: str) -> Image:
    """Return the effect on one measure in one month since the loss, group by group, with 95 % intervals.

    Everybody comes first, then the groups by axis. There must be at least one row of that measure and month.
    """
    shown = MEASURES[measure]
    rows = group_rows(effects, measure, month)
    with styled():
        figure, axes = new_axes(FRAME_HEIGHT_IN + ROW_HEIGHT_IN * len(rows))
        place = rows["place"].to_numpy(float)
        estimate, low, high = (
            rows[name].to_numpy(float) / shown.divisor for name in ("estimate", "estimate_low", "estimate_high")
        )
        axes.axvline(0, color=DARK, linewidth=0.8)
        axes.errorbar(estimate, place, xerr=[estimate - low, high - estimate], fmt="o", color=BLUE, markersize=4)
        axes.set_yticks(place, rows["label"])
        axes.set_ylim(place[-1] + 0.6, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.grid(axis="y", visible=False)
        axes.tick_params(left=False)
        axes.set_title(f"{shown.title}, month {month}", loc="left")
        axes.set_xlabel(f"Difference to the controls ({shown.unit})")
        return to_image(figure, alt)


def group_rows(effects: pd.DataFrame, measure: str, month: int) -> pd.DataFrame:
    """Return the rows of one measure and month in the order drawn, with `label` and `place`; a gap between axes."""
    rows = effects[(effects["measure"] == measure) & (effects["months_since_loss"] == month)]
    rows = rows.assign(is_group=rows["axis"] != ALL).sort_values(["is_group", "axis", "group"], ignore_index=True)
    is_new_axis = rows["axis"] != rows["axis"].shift()
    label = np.where(rows["is_group"], rows["axis"] + ": " + rows["group"].str.replace("_", " "), "everybody")
    return rows.assign(label=label, place=np.arange(len(rows)) + 0.6 * (is_new_axis.cumsum() - 1))
