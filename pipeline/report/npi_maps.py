"""Maps of the change from baseline: regions in colours to either side of none."""

from __future__ import annotations

import geopandas as gpd
import matplotlib
import numpy as np
import pandas as pd
import shapely
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pipeline.report.drawing import GREY, WIDTH_IN, Image, styled, to_image
from pipeline.report.maps import add_scale_bar, frame, patches, shown_box, to_metres
from pipeline.report.npi_figures import percent_tick
from pipeline.report.response_words import measure_title

TITLE_HEIGHT_IN, KEY_HEIGHT_IN = 0.45, 1.1
MAX_HEIGHT_IN = 3.0
HALF_SPAN_LEVELS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Changes at which the scale may end: as much more as less by the same factor."""
OUTLIER_SHARE = 0.95
"""The scale reaches as far as this share of the regions does, so that one of them does not pale all others (ours)."""


def draw_maps(outlines: gpd.GeoSeries, means: pd.DataFrame, alt: str) -> Image:
    """Return one map a measure of the mean log change by region, all on one scale with no change in the middle.

    `outlines` are by region, in degrees; `means` has region_geoid, measure, change and at least one row. Factors are as
    far from the middle as their inverses: half is as far as twice.
    """
    measures = list(dict.fromkeys(means["measure"]))
    n_columns, n_rows = min(2, len(measures)), -(-len(measures) // 2)
    end = scale_end(means["change"])
    areas = _in_metres(outlines, means)
    box = shown_box(areas)
    areas = areas[shapely.intersects(areas.geometry.to_numpy(), shapely.box(*box))]
    with styled():
        map_height = min(WIDTH_IN / n_columns * (box[3] - box[1]) / (box[2] - box[0]), MAX_HEIGHT_IN)
        height = (map_height + TITLE_HEIGHT_IN) * n_rows + KEY_HEIGHT_IN
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        every = []
        for k, measure in enumerate(measures):
            axes = figure.add_subplot(n_rows, n_columns, k + 1)
            change = means[means["measure"] == measure].set_index("region_geoid")["change"].reindex(areas.index)
            unknown = areas[change.isna().to_numpy()]
            axes.add_collection(patches(unknown, box, False, facecolor=GREY, edgecolor="white", hatch="////"))
            shaded = _shaded(areas[change.notna().to_numpy()], change.dropna(), box, end)
            axes.add_collection(shaded)
            frame(axes, box)
            add_scale_bar(axes, box)
            axes.set_title(measure_title(measure), loc="left", fontsize="medium")
            every.append(axes)
        _add_key(figure, every, shaded, end)
        return to_image(figure, alt)


def scale_end(change: pd.Series) -> float:
    """Return the change, as a share more than the baseline, at which the scale ends, its inverse at the other end."""
    reach = np.expm1(np.nanquantile(np.abs(change), OUTLIER_SHARE))
    return next((level for level in HALF_SPAN_LEVELS if level >= reach), HALF_SPAN_LEVELS[-1])


def _in_metres(outlines: gpd.GeoSeries, means: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return the regions in metres; of those with a change the column that the frame of the map goes by is filled."""
    is_known = outlines.index.isin(set(means["region_geoid"]))
    areas = gpd.GeoDataFrame(
        {"n_devices": np.where(is_known, 1.0, np.nan)},
        geometry=outlines.to_numpy(),
        index=outlines.index,
        crs=outlines.crs,
    )
    return to_metres(areas)


def _shaded(
    areas: gpd.GeoDataFrame, change: pd.Series, box: tuple[float, float, float, float], end: float
) -> PatchCollection:
    shaded = patches(areas, box, False, edgecolor="white", cmap=matplotlib.colormaps["PuOr_r"])
    shaded.set_array(change.to_numpy(float))
    shaded.set_clim(-np.log1p(end), np.log1p(end))
    return shaded


def _scale_tick(value: float, _: int | None = None) -> str:
    return percent_tick(float(f"{100 * np.expm1(value):.2g}"))


def _add_key(figure: Figure, axes: list, shaded: PatchCollection, end: float) -> None:
    bar = figure.colorbar(shaded, ax=axes, orientation="horizontal", fraction=0.05, pad=0.06, aspect=34, extend="both")
    bar.outline.set_visible(False)
    half = np.log1p(end) / 2
    bar.ax.xaxis.set_major_locator(FixedLocator([-2 * half, -half, 0, half, 2 * half]))
    bar.ax.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: percent_tick(float(f"{100 * np.expm1(value):.2g}")))
    )
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.set_label("Mean change from baseline")
    unknown = Patch(facecolor=GREY, edgecolor="white", hatch="////", label="not known: too few devices or no baseline")
    figure.legend(handles=[unknown], loc="outside lower center", frameon=False, borderpad=0.2, fontsize="small")
