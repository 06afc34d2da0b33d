"""How figures look, and how one becomes an image inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN = 4.6, 3.1
"""Small, so that letters are still readable where a phone shrinks the figure."""
BLUE, GREY = "#0072b2", "#d9d9d9"
"""Okabe and Ito's blue, and the grey of what is not shown."""
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "sojourn",
}


NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""Nothing about when and with what a figure was drawn: equal figures are equal bytes."""


class Image(NamedTuple):
    """A figure as the page shows it."""

    uri: str
    """The SVG itself, as a data URI."""
    alt: str
    """What a reader who cannot see the figure is told."""


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the report's style, leaving the process's own settings alone."""
    with matplotlib.rc_context(STYLE):
        yield


def new_axes(height_in: float = HEIGHT_IN) -> tuple[Figure, Axes]:
    """Return an empty figure of the report's width and its one pair of axes."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.add_subplot()


def few_to_many() -> Colormap:
    """Return one hue from light to dark: read alike by colour-blind readers and in grey print."""
    return LinearSegmentedColormap.from_list("few_to_many", matplotlib.colormaps["Blues"](np.linspace(0.12, 1, 256)))


def to_image(figure: Figure, alt: str) -> Image:
    """Return a figure as SVG in a data URI: equal figures give equal bytes, and letters are outlines."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    return Image("data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode(), alt)
