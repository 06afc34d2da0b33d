"""The plots of what explains the changes: coefficients, candidates, groups, orders and lags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from pipeline.report.drawing import BLUE, WIDTH_IN, Image, styled, to_image
from pipeline.report.effects import DARK, FRAME_HEIGHT_IN, PANEL_HEIGHT_IN, ROW_HEIGHT_IN
from pipeline.report.npi_figures import percent_tick
from pipeline.report.npi_models import of_everybody, order_measures
from pipeline.report.people_figures import LOOKS, ORANGE, Look
from pipeline.report.response_words import MODEL_WORDS, TERM_TITLES, fold, measure_title

EFFECTS = ["log_effect", "log_effect_low", "log_effect_high"]
MOST_LETTERS = 19
"""Longer labels of rows are on two lines."""
FACTORS = (1 / 0.98, 1 / 0.95, 1 / 0.9, 1.25, 2.0, 4.0, 10.0, 100.0)
"""−2 %, −5 %, −10 %, −20 %, −50 %, −75 %, −90 % and −99 % the other way: what ticks may stand at."""
DRIVER_WORDS = {"stringency": "stringency", "severity": "severity", "both": "both"}
BESIDE = 0.22
"""How far below the fixed estimate the mixed one is drawn, in rows."""


def _percent(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates in per cent, and how far their intervals reach down and up; 0 where these are not known."""
    estimate, low, high = (100 * np.expm1(rows[name].to_numpy(float)) for name in EFFECTS)
    return estimate, np.nan_to_num(np.array([estimate - low, high - estimate]))


def _horizontal(axes: Axes, rows: pd.DataFrame, place: np.ndarray, **style: Any) -> None:
    """Draw log effects, so that half is as far from 0 as twice, and a wide interval does not hide narrow ones."""
    estimate, low, high = (rows[name].to_numpy(float) for name in EFFECTS)
    ends = np.nan_to_num(np.array([estimate - low, high - estimate]))
    axes.errorbar(estimate, place, xerr=ends, linestyle="none", markersize=4, linewidth=1.2, **style)


def factor_ticks(low: float, high: float) -> list[float]:
    """Return 0 and the logarithms of the largest round factor and its inverse within the ends, as far as these go."""
    reach = 0.9 * max(-low, high)
    factor = max((factor for factor in FACTORS if np.log(factor) <= reach), default=FACTORS[0])
    return [tick for tick in (-np.log(factor), 0.0, np.log(factor)) if low <= tick <= high]


def _factor_tick(value: float, _: int | None = None) -> str:
    return percent_tick(float(f"{100 * np.expm1(value):.2g}"))


def _name_factors(panels: Sequence[Axes]) -> None:
    """Name the ticks of log effects in per cent, once all is drawn."""
    for axes in panels:
        axes.xaxis.set_major_locator(FixedLocator(factor_ticks(*axes.get_xlim())))
        axes.xaxis.set_major_formatter(FuncFormatter(_factor_tick))


def _percent_axis(axis) -> None:
    axis.set_major_locator(MaxNLocator(nbins=4))
    axis.set_major_formatter(FuncFormatter(percent_tick))


def _row_axes(figure: Figure, titles: Sequence[str], labels: Sequence[str], place: np.ndarray) -> list[Axes]:
    """Return plots side by side that share their rows, which are named at the left."""
    panels = list(figure.subplots(1, len(titles), sharey=True, squeeze=False)[0])
    for axes, title in zip(panels, titles, strict=True):
        axes.axvline(0, color=DARK, linewidth=0.8)
        axes.set_title(title, loc="left", fontsize="small")
        axes.grid(axis="y", visible=False)
        axes.tick_params(left=False, labelsize="x-small")
        axes.tick_params(axis="y", labelsize="small")
    panels[0].set_yticks(place, labels)
    panels[0].set_ylim(place[-1] + 0.7, place[0] - 0.7)
    return panels


def draw_coefficients(response: pd.DataFrame, alt: str) -> Image:
    """Return everybody's coefficients by term and measure in per cent: fixed with 95 % intervals, mixed below each."""
    rows = of_everybody(response)
    measures = order_measures(rows)
    terms = [term for term in TERM_TITLES if (rows["term"] == term).any()]
    place = np.arange(len(measures), dtype=float)
    looks = {"fixed": {"fmt": "o", "color": BLUE}, "mixed": {"fmt": "D", "color": ORANGE, "markerfacecolor": "white"}}
    with styled():
        figure = Figure(
            figsize=(WIDTH_IN, FRAME_HEIGHT_IN + 0.2 + 1.4 * ROW_HEIGHT_IN * len(measures)), layout="constrained"
        )
        labels = [fold(measure_title(measure), MOST_LETTERS) for measure in measures]
        panels = _row_axes(figure, [TERM_TITLES[term] for term in terms], labels, place)
        for axes, term in zip(panels, terms, strict=True):
            for k, (estimator, look) in enumerate(looks.items()):
                shown = rows[(rows["term"] == term) & (rows["estimator"] == estimator)].set_index("measure")
                there = [m for m in measures if m in shown.index]
                at = np.array([measures.index(m) + BESIDE * (2 * k - 1) for m in there])
                _horizontal(axes, shown.loc[there], at, **look)
        _name_factors(panels)
        keys = [
            Line2D([], [], marker="o", color=BLUE, label="fixed effects"),
            Line2D([], [], marker="D", color=ORANGE, markerfacecolor="white", label="mixed effects"),
        ]
        figure.legend(handles=keys, loc="outside upper center", ncols=2, frameon=False, handlelength=1.8)
        figure.supxlabel("Change for one unit of the term", fontsize="medium")
        return to_image(figure, alt)


def draw_candidates(fits: pd.DataFrame, chosen: Mapping[str, str | None], alt: str) -> Image:
    """Return the left-out error of each candidate, one small plot a measure; the chosen one is filled.

    A line marks the error of stringency alone: what is left of it is better.
    """
    rows = of_everybody(fits).dropna(subset="left_out_error")
    measures = order_measures(rows)
    models = [name for name in MODEL_WORDS if (rows["model"] == name).any()]
    n_rows = -(-len(measures) // 2)
    with styled():
        height = FRAME_HEIGHT_IN * 0.5 + n_rows * (0.5 + 0.66 * ROW_HEIGHT_IN * len(models))
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        for k, measure in enumerate(measures):
            axes = figure.add_subplot(n_rows, min(2, len(measures)), k + 1)
            error = rows[rows["measure"] == measure].set_index("model")["left_out_error"].reindex(models)
            _draw_errors(axes, error, chosen.get(measure))
            axes.set_title(fold(measure_title(measure), MOST_LETTERS + 4), loc="left", fontsize="small")
            axes.set_yticks(range(len(models)), [MODEL_WORDS[name] for name in models] if k % 2 == 0 else [])
            axes.set_ylim(len(models) - 0.4, -0.6)
        figure.supxlabel("Root mean square error of the log change in regions left out", fontsize="small")
        return to_image(figure, alt)


def _draw_errors(axes: Axes, error: pd.Series, chosen: str | None) -> None:
    place = np.arange(len(error))
    axes.axvline(error.get("stringency", np.nan), color=DARK, linewidth=0.8, linestyle=":")
    is_chosen = error.index == chosen
    axes.plot(error[~is_chosen], place[~is_chosen], "o", color=BLUE, markerfacecolor="white", markersize=4)
    axes.plot(error[is_chosen], place[is_chosen], "o", color=ORANGE, markersize=5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    axes.tick_params(left=False, labelsize="x-small")


def draw_group_terms(differences: pd.DataFrame, alt: str) -> Image:
    """Return by how much groups' coefficients of one measure differ from everybody else's, a plot a term."""
    labels = list(dict.fromkeys(differences["label"]))
    axis = pd.Series(labels).str.partition(":")[0]
    place = np.arange(len(labels)) + 0.6 * ((axis != axis.shift()).cumsum() - 1).to_numpy()
    terms = [term for term in TERM_TITLES if (differences["term"] == term).any()]
    with styled():
        figure = Figure(figsize=(WIDTH_IN, FRAME_HEIGHT_IN + ROW_HEIGHT_IN * (place[-1] + 1)), layout="constrained")
        folded = [fold(label, MOST_LETTERS) for label in labels]
        panels = _row_axes(figure, [TERM_TITLES[term] for term in terms], folded, place)
        for axes, term in zip(panels, terms, strict=True):
            rows = differences[differences["term"] == term]
            at = place[[labels.index(label) for label in rows["label"]]]
            _horizontal(axes, rows, at, fmt="o", color=BLUE)
        _name_factors(panels)
        figure.supxlabel("More or less than of everybody else", fontsize="medium")
        return to_image(figure, alt)


def draw_events(events: pd.DataFrame, alt: str) -> Image:
    """Return the difference to regions without an order by weeks since it, one small plot a measure.

    `events` are NPI_EVENTS of one kind of order. Week -1, which differences are taken from, is hollow.
    """
    measures = order_measures(events)
    n_rows, n_columns = -(-len(measures) // 2), min(2, len(measures))
    with styled():
        figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * n_rows + 0.3), layout="constrained")
        limits = events["weeks_since"].min() - 0.7, events["weeks_since"].max() + 0.7
        for k, measure in enumerate(measures):
            axes = figure.add_subplot(n_rows, n_columns, k + 1)
            _draw_event(axes, events[events["measure"] == measure].sort_values("weeks_since"))
            axes.set_title(measure_title(measure), loc="left", fontsize="medium")
            axes.set_xlim(*limits)
        figure.supxlabel("Weeks since the order", fontsize="medium")
        figure.supylabel("Difference to regions without it", fontsize="medium")
        return to_image(figure, alt)


def _draw_event(axes: Axes, rows: pd.DataFrame) -> None:
    week = rows["weeks_since"].to_numpy(float)
    estimate, ends = _percent(rows)
    axes.axhline(0, color=DARK, linewidth=0.8)
    axes.axvline(-0.5, color=DARK, linewidth=0.8, linestyle=":")
    axes.errorbar(week, estimate, ends, fmt="o", color=BLUE, markersize=3.5, linewidth=1.2)
    before = week == -1
    axes.plot(week[before], estimate[before], "o", color="white", markeredgecolor=BLUE, markersize=3.5, zorder=3)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.tick_params(labelsize="small")
    _percent_axis(axes.yaxis)


def draw_lags(lags: pd.DataFrame, alt: str) -> Image:
    """Return the left-out error by lag of each driver, one small plot a measure; the least of a line is filled."""
    measures = order_measures(lags)
    drivers = [name for name in DRIVER_WORDS if (lags["driver"] == name).any()]
    n_rows, n_columns = -(-len(measures) // 2), min(2, len(measures))
    with styled():
        figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * n_rows + 0.6), layout="constrained")
        for k, measure in enumerate(measures):
            axes = figure.add_subplot(n_rows, n_columns, k + 1)
            for look, driver in zip(LOOKS, drivers, strict=False):
                rows = lags[(lags["measure"] == measure) & (lags["driver"] == driver)].sort_values("lag_days")
                _draw_lagged(axes, rows, look)
            axes.axvline(0, color=DARK, linewidth=0.8, linestyle=":")
            axes.set_title(fold(measure_title(measure), MOST_LETTERS + 4), loc="left", fontsize="small")
            axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
            axes.tick_params(labelsize="small")
        keys = [
            Line2D([], [], color=look.color, linestyle=look.line, label=DRIVER_WORDS[name])
            for look, name in zip(LOOKS, drivers, strict=False)
        ]
        figure.legend(handles=keys, loc="outside upper center", ncols=3, frameon=False, fontsize="small")
        figure.supxlabel("Days from the driver to the answer", fontsize="medium")
        figure.supylabel("Error in regions left out", fontsize="medium")
        return to_image(figure, alt)


def _draw_lagged(axes: Axes, rows: pd.DataFrame, look: Look) -> None:
    axes.plot(rows["lag_days"], rows["left_out_error"], color=look.color, linestyle=look.line, linewidth=1.3)
    best = rows.nsmallest(1, "left_out_error")
    axes.plot(best["lag_days"], best["left_out_error"], marker=look.marker, color=look.color, markersize=5)
