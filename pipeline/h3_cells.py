"""Cells of the H3 grid, and which of them lie within reach of a position: so that near ones meet in one cell."""

import itertools
from typing import NamedTuple

import h3.api.numpy_int as h3
import numpy as np

from pipeline.kernels.cell_reach import borders_in_reach, unit_vectors

RESOLUTION = 8
"""Cells of about 0.7 km2: a city's people in hundreds of them, and few positions near a border. Changes no number."""
MAX_REACH_M = 250.0
"""Half the width of the smallest cells of that resolution is more, so nothing reaches past the next cell."""
FIRST_DIGIT_BIT = 3 * (15 - RESOLUTION)
CELL_BITS = 7 + 3 * RESOLUTION
"""Bits that tell cells of one resolution apart: base cell and one digit a resolution."""


class CellsInReach(NamedTuple):
    """Cells of positions: one row for the cell of each, and one for each other cell within reach."""

    row: np.ndarray
    """Which position, in order."""
    cell: np.ndarray
    """Cell, numbered in `CELL_BITS` bits: int64."""
    is_own: np.ndarray
    """Whether the position lies in the cell."""


def cells_in_reach(lon: np.ndarray, lat: np.ndarray, reach_m: float) -> CellsInReach:
    """Return the cells within `reach_m` metres of positions in degrees.

    Every position at most so far away lies in one of them. ValueError beyond `MAX_REACH_M`. Borders are those of H3,
    straight in space, which is below 1 cm off; they are looked for 1 % and half a metre further than need be.
    """
    if not 0 < reach_m <= MAX_REACH_M:
        raise ValueError(f"reach_m is {reach_m}, not above 0 and at most {MAX_REACH_M}")
    positions = zip(lat.tolist(), lon.tolist(), strict=True)
    own = np.array([h3.latlng_to_cell(*position, RESOLUTION) for position in positions], dtype=np.int64)
    cells, index = np.unique(own, return_inverse=True)
    start, beyond, border = _borders(cells)
    row, neighbour = borders_in_reach(unit_vectors(lon, lat), index, start, border, beyond, reach_m * 1.01 + 0.5)
    found = np.concatenate([own, neighbour]) >> FIRST_DIGIT_BIT & (1 << CELL_BITS) - 1
    is_own = np.arange(found.size) < own.size
    rows = np.concatenate([np.arange(own.size), row])
    order = np.argsort(rows, kind="stable")
    return CellsInReach(rows[order], found[order], is_own[order])


def _borders(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the borders of each cell start, the cell beyond each, and its ends as unit vectors (n, 2, 3)."""
    start, beyond = [0], []
    ends: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for cell in cells.tolist():
        for edge in h3.origin_to_directed_edges(cell).tolist():
            points = h3.directed_edge_to_boundary(edge)
            beyond += [h3.get_directed_edge_destination(edge)] * (len(points) - 1)
            ends += itertools.pairwise(points)
        start.append(len(beyond))
    at = np.array(ends, dtype=np.float64).reshape(-1, 2)
    vectors = unit_vectors(at[:, 1].copy(), at[:, 0].copy()).reshape(-1, 2, 3)
    return np.array(start), np.array(beyond, dtype=np.int64), vectors
