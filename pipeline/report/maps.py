"""The map: areas shaded by how many devices have a location there, in local metres, without labels."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pipeline.kernels.geodesy import mean_position
from pipeline.report.drawing import GREY, Image, few_to_many, new_axes, styled, to_image
from pipeline.report.groups import MIN_DEVICES
from pipeline.report.measures import Seen

HEIGHT_IN = 5.2
WHOLE_PART = 0.4
"""The map is cut to the areas that may be shown where they fill less than this part of all."""
MARGIN = 0.04
"""Of the larger side of what is shown: space around it."""
RESOLUTION = 2000
"""Outlines are simplified to this part of the width of the map: less than a pixel."""
MAX_VECTOR_AREAS = 3000
"""Above this the areas are drawn as pixels, or the page would be very large."""
SCALE_PART = 0.3
"""The scale bar is at most this part of the width of the map."""


def draw_map(seen: Seen, alt: str) -> Image:
    """Return the map of an area table in which at least one area may be shown."""
    with styled():
        figure, axes = new_axes(HEIGHT_IN)
        areas = to_metres(seen.areas)
        box = shown_box(areas)
        areas = areas[shapely.intersects(areas.geometry.to_numpy(), shapely.box(*box))]
        is_shown = areas["n_devices"].notna()
        as_pixels = len(areas) > MAX_VECTOR_AREAS
        few = patches(areas[~is_shown], box, as_pixels, facecolor=GREY, edgecolor="white", hatch="////")
        axes.add_collection(few)
        shaded = _shaded(areas[is_shown], box, as_pixels)
        axes.add_collection(shaded)
        frame(axes, box)
        add_scale_bar(axes, box)
        _add_key(figure, axes, shaded, has_few=bool((~is_shown).any()))
        return to_image(figure, alt)


def to_metres(areas: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the areas in metres east and north of the middle of those shown: Lambert's equal-area plane.

    Equal areas on the ground are equal on the map, and east is as long as north at the middle.
    """
    shown = areas[areas["n_devices"].notna()]
    points = shapely.get_coordinates(shapely.envelope(shown.geometry.to_numpy()))
    lon, lat = mean_position(points[:, 0], points[:, 1], np.ones(len(points)))
    return areas.to_crs(f"+proj=laea +lon_0={lon} +lat_0={lat} +datum=WGS84 +units=m")


def shown_box(areas: gpd.GeoDataFrame) -> tuple[float, float, float, float]:
    """Return west, south, east and north of the map: of all areas, or of those shown if a small part."""
    whole, shown = areas.total_bounds, areas.loc[areas["n_devices"].notna()].total_bounds
    is_cut = not _extent(shown) >= WHOLE_PART * _extent(whole)
    west, south, east, north = shown if is_cut else whole
    margin = MARGIN * max(east - west, north - south)
    return west - margin, south - margin, east + margin, north + margin


def _extent(bounds: np.ndarray) -> float:
    return float((bounds[2] - bounds[0]) * (bounds[3] - bounds[1]))


def patches(areas: gpd.GeoDataFrame, box: tuple[float, ...], as_pixels: bool, **style: Any) -> PatchCollection:
    """Return areas, in metres, as what axes can show, simplified to less than a pixel of a map of the box."""
    tolerance = (box[2] - box[0]) / RESOLUTION
    shapes = shapely.simplify(areas.geometry.to_numpy(), tolerance)
    outlines = [PathPatch(outline(part)) for part in shapes if not part.is_empty]
    return PatchCollection(outlines, linewidth=0.4, rasterized=as_pixels, **style)


def outline(shape: shapely.Geometry) -> Outline:
    """Return a polygon, or several, as one closed path; holes are rings of their own."""
    rings = [
        Outline(shapely.get_coordinates(ring), closed=True)
        for part in shapely.get_parts(shape)
        if shapely.get_dimensions(part) == 2
        for ring in (part.exterior, *part.interiors)
    ]
    return Outline.make_compound_path(*rings)


def _shaded(areas: gpd.GeoDataFrame, box: tuple[float, ...], as_pixels: bool) -> PatchCollection:
    shaded = patches(areas, box, as_pixels, edgecolor="white", cmap=few_to_many())
    counts = areas["n_devices"].to_numpy()
    shaded.set_array(counts)
    shaded.set_norm(LogNorm(MIN_DEVICES, max(counts.max(), MIN_DEVICES + 1)))
    return shaded


def frame(axes: Axes, box: tuple[float, float, float, float]) -> None:
    """Cut axes to a box, as many metres up as across, and draw no axes."""
    axes.set_xlim(box[0], box[2])
    axes.set_ylim(box[1], box[3])
    axes.set_aspect("equal")
    axes.set_axis_off()


def scale_length_m(width_m: float) -> float:
    """Return the longest 1, 2 or 5 × power of ten that a scale bar on a map of that width may have."""
    longest = width_m * SCALE_PART
    power = 10 ** np.floor(np.log10(longest))
    return float(max(step * power for step in (1, 2, 5) if step * power <= longest))


def add_scale_bar(axes: Axes, box: tuple[float, float, float, float]) -> None:
    """Draw below a map of a box how long some metres are on it."""
    length_m = scale_length_m(box[2] - box[0])
    label = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    part = length_m / (box[2] - box[0])
    axes.plot(
        [0, part],
        [-0.035] * 2,
        transform=axes.transAxes,
        color="black",
        linewidth=3,
        clip_on=False,
        solid_capstyle="butt",
    )
    axes.text(part + 0.02, -0.035, label, transform=axes.transAxes, va="center", ha="left")


def _add_key(figure: Figure, axes: Axes, shaded: PatchCollection, has_few: bool) -> None:
    if has_few:
        few = Patch(facecolor=GREY, edgecolor="white", hatch="////", label=f"fewer than {MIN_DEVICES} devices")
        figure.legend(handles=[few], loc="outside lower center", frameon=False, borderpad=0.2)
    bar = figure.colorbar(shaded, ax=axes, orientation="horizontal", fraction=0.045, pad=0.05, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.xaxis.set_major_locator(FixedLocator(scale_ticks(shaded.norm.vmax)))
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.set_label("Devices seen (log scale)")


def scale_ticks(highest: float) -> list[float]:
    """Return 10, 20, 50, 100, ... up to `highest`, thinned to at most six."""
    ticks = [step * 10.0**power for power in range(1, 10) for step in (1, 2, 5) if step * 10**power <= highest]
    return ticks if len(ticks) <= 6 else ticks[:: -(-len(ticks) // 6)]
