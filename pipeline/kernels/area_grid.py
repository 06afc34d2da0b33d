"""The grid over areas in which `area_lookup` finds the area of a position: how it is built.

Areas are polygons in the plane of longitude and latitude, as flat rings. A grid of cells covers them; a
cell that many edges pass is cut further, into `side` x `side` leaves, so that the small areas of a
city and the large ones of a desert fit one grid. A leaf knows

* for every area with an edge in it: those edges, and whether the leaf's reference point is inside;
* every area that covers it whole.

A position is then inside an area where the path from it to the reference point crosses the area's
edges an even number of times and the reference point is inside, or an odd number and it is not.
"Inside" is the even-odd rule over all rings of an area: holes, islands in holes and several parts need no
care, valid polygons are what they are to shapely, and overlapping areas stay apart.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import inline, kernel

EDGES_PER_CELL = 8
"""Cells of the grid: one for so many edges (chosen by timing)."""
EDGES_PER_LEAF = 8
"""A cell with more edges is cut (chosen by timing)."""
MAX_SIDE = 64
MAX_CELLS = 1 << 22
MIN_CELL_DEG = 1e-7
"""A leaf of such a cell is 0.2 mm, far above the rounding of degrees (3e-14), so a reference point stays inside."""
PAD = 1e-6
"""An edge is listed in every leaf that it comes this near to, in cells: more than rounding can move a position."""
REFERENCE_X, REFERENCE_Y = 0.4871153, 0.5213907
"""Where in a leaf the reference point lies: odd numbers, as borders prefer round ones."""
OUTSIDE, INSIDE, UNSURE = 0, 1, 2
ORIENTATION_BOUND = (3 + 16 * 2.0**-53) * 2.0**-53
"""Rounding of an orientation relative to its two products (Shewchuk 1997, "ccwerrboundA")."""
UNDERFLOW = 1e-300


class AreaIndex(NamedTuple):
    """Areas ready for look-up; see the module. Positions are degrees, areas their numbers."""

    xy: NDArray[np.float64]
    """Vertices, one row each."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north of all areas."""
    shape: tuple[int, int]
    """Cells from west to east and from south to north."""
    cell_size: tuple[float, float]
    side: NDArray[np.int32]
    base: NDArray[np.int64]
    """First leaf of each cell; leaf (i, j) of a cell is ``base + j * side + i``."""
    entry_start: NDArray[np.int64]
    """Leaf l owns entries ``entry_start[l]:entry_start[l + 1]``, by rising area."""
    entry_area: NDArray[np.int32]
    entry_state: NDArray[np.int8]
    """The leaf's reference point is OUTSIDE or INSIDE the area, or UNSURE."""
    entry_edge: NDArray[np.int64]
    """Entry e owns edges ``edge[entry_edge[e]:entry_edge[e + 1]]``."""
    edge: NDArray[np.int32]
    """Edge k leads from vertex k to vertex k + 1."""


def build_area_index(
    x: NDArray[np.float64], y: NDArray[np.float64], ring_start: NDArray[np.int64], area_start: NDArray[np.int64]
) -> AreaIndex:
    """Return the index over areas 0, 1, 2... whose rings are given one after another.

    Ring r owns vertices ``ring_start[r]:ring_start[r + 1]`` (degrees), the last one repeating the first;
    area a owns rings ``area_start[a]:area_start[a + 1]``, holes and parts alike. ValueError where a
    ring is open, a vertex is not finite, or there is no vertex at all.
    """
    if x.size == 0 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("areas need vertices, all of them finite")
    last = ring_start[1:] - 1
    if (x[ring_start[:-1]] != x[last]).any() or (y[ring_start[:-1]] != y[last]).any():
        raise ValueError("every ring must end where it begins")
    is_edge = np.ones(x.size, np.bool_)
    is_edge[last] = False
    edges = np.flatnonzero(is_edge)
    vertex_start = ring_start[area_start]
    bounds = float(x.min()), float(y.min()), float(x.max()), float(y.max())
    shape, cell_size = _layout(bounds, edges.size)
    frame = (bounds[0], bounds[1], cell_size[0], cell_size[1], shape[0], shape[1])
    side, base = _cut_cells(x, y, edges, frame)
    leaf_start, edge = _edges_by_leaf(x, y, edges, frame, side, base)
    start, area, state, entry_edge = _make_entries(x, y, is_edge, vertex_start, frame, side, base, leaf_start, edge)
    return AreaIndex(
        np.column_stack([x, y]), bounds, shape, cell_size, side, base, start, area, state, entry_edge, edge
    )


def _layout(bounds: tuple[float, float, float, float], n_edges: int) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the number of cells and the size of one, about square in degrees."""
    width, height = bounds[2] - bounds[0], bounds[3] - bounds[1]
    wanted = min(max(n_edges // EDGES_PER_CELL, 1), MAX_CELLS)
    size = max(math.sqrt(width * height / wanted), max(width, height) / wanted, MIN_CELL_DEG)
    n_x, n_y = (max(1, min(wanted, math.ceil(extent / size))) for extent in (width, height))
    return (n_x, n_y), (max(width / n_x, MIN_CELL_DEG), max(height / n_y, MIN_CELL_DEG))


def _cut_cells(x, y, edges, frame):
    """Return (leaves along each side of every cell, number of its first leaf)."""
    n_cells = frame[4] * frame[5]
    whole = np.ones(n_cells, np.int32)
    counts = np.zeros(n_cells, np.int64)
    _walk_edges(x, y, edges, frame, whole, np.arange(n_cells), counts, np.empty(0, np.int32))
    side = np.clip(np.ceil(np.sqrt(counts / EDGES_PER_LEAF)), 1, MAX_SIDE).astype(np.int32)
    return side, np.append(0, np.cumsum(side.astype(np.int64) ** 2))


def _edges_by_leaf(x, y, edges, frame, side, base):
    """Return (start of each leaf's edges, edges), by rising edge and hence by rising area within a leaf."""
    counts = np.zeros(base[-1], np.int64)
    _walk_edges(x, y, edges, frame, side, base, counts, np.empty(0, np.int32))
    start = np.append(0, np.cumsum(counts))
    edge = np.empty(start[-1], np.int32)
    _walk_edges(x, y, edges, frame, side, base, start[:-1].copy(), edge)
    return start, edge


def _make_entries(x, y, is_edge, vertex_start, frame, side, base, leaf_start, edge):
    """Return (entry_start, entry_area, entry_state, entry_edge)."""
    covered = _covered_leaves(x, y, is_edge, vertex_start, frame, side, base)
    area_of = np.repeat(np.arange(vertex_start.size - 1, dtype=np.int32), np.diff(vertex_start))
    n_leaves = leaf_start.size - 1
    order = np.argsort(covered[0], kind="stable")
    leaf, area, state = (values[order] for values in covered)
    covered_start = np.searchsorted(leaf, np.arange(n_leaves + 1))
    return _merge_entries(leaf_start, edge, area_of, covered_start, area, state)


# --- Kernels ------------------------------------------------------------------------------------


@inline
def orientation(ax, ay, bx, by, px, py):
    """Return 1 or -1 where a, b and p turn left or right, 0 where p surely lies on their line, else 2."""
    left = (ax - px) * (by - py)
    right = (ay - py) * (bx - px)
    turn = left - right
    if abs(turn) > ORIENTATION_BOUND * (abs(left) + abs(right)) + UNDERFLOW:
        return 1 if turn > 0 else -1
    if (ax == px or by == py) and (ay == py or bx == px):
        return 0
    return 2


@kernel
def _part_within(u1, v1, u2, v2, low, high):
    """Return the least and greatest u of the part of a segment whose v is between low and high."""
    if v1 > v2:
        u1, v1, u2, v2 = u2, v2, u1, v1
    a, b = u1, u2
    if v1 < low:
        a = u1 + (u2 - u1) * (low - v1) / (v2 - v1)
    if v2 > high:
        b = u1 + (u2 - u1) * (high - v1) / (v2 - v1)
    return min(a, b), max(a, b)


@kernel
def _walk_edges(x, y, edges, frame, side, base, filled, out):
    """Count the edges of every leaf in `filled`, or, where `out` has room, put them at and after `filled`."""
    x0, y0, width, height, n_x, n_y = frame
    for e in edges:
        u1, v1, u2, v2 = (x[e] - x0) / width, (y[e] - y0) / height, (x[e + 1] - x0) / width, (y[e + 1] - y0) / height
        first_j = max(math.floor(min(v1, v2) - PAD), 0)
        last_j = min(math.floor(max(v1, v2) + PAD), n_y - 1)
        for j in range(min(first_j, n_y - 1), last_j + 1):
            low, high = _part_within(u1, v1, u2, v2, j - PAD, j + 1 + PAD)
            first_i = min(max(math.floor(low - PAD), 0), n_x - 1)
            for i in range(first_i, min(math.floor(high + PAD), n_x - 1) + 1):
                c = j * n_x + i
                if side[c] == 1:
                    _put(e, base[c], filled, out)
                else:
                    _walk_cell(e, u1 - i, v1 - j, u2 - i, v2 - j, side[c], base[c], filled, out)


@kernel
def _walk_cell(e, u1, v1, u2, v2, m, first, filled, out):
    """Do what `_walk_edges` does for the leaves of one cell; positions are cells from its south-western corner."""
    for j in range(max(math.floor((min(v1, v2) - PAD) * m), 0), min(math.floor((max(v1, v2) + PAD) * m), m - 1) + 1):
        low, high = _part_within(u1, v1, u2, v2, j / m - PAD, (j + 1) / m + PAD)
        for i in range(max(math.floor((low - PAD) * m), 0), min(math.floor((high + PAD) * m), m - 1) + 1):
            _put(e, first + j * m + i, filled, out)


@inline
def _put(e, leaf, filled, out):
    if out.size:
        out[filled[leaf]] = e
    filled[leaf] += 1


@kernel
def _covered_leaves(x, y, is_edge, vertex_start, frame, side, base):
    """Return (leaf, area, state) of all leaves whose reference point is not surely outside an area."""
    size = 1024
    leaf, area, state = np.empty(size, np.int64), np.empty(size, np.int32), np.empty(size, np.int8)
    n = 0
    for a in range(vertex_start.size - 1):
        first, last = vertex_start[a], vertex_start[a + 1]
        if first == last:
            continue
        box, row_start, row_edges = _edges_by_row(x, y, is_edge, first, last, frame)
        for j in range(box[1], box[3] + 1):
            near = row_edges[row_start[j - box[1]] : row_start[j - box[1] + 1]]
            for i in range(box[0], box[2] + 1):
                c = j * frame[4] + i
                for k in range(side[c] * side[c]):
                    found = _state_at(x, y, near, reference_point(frame, side[c], i, j, k))
                    if found != OUTSIDE:
                        if n == leaf.size:
                            leaf, area, state = _doubled(leaf), _doubled(area), _doubled(state)
                        leaf[n], area[n], state[n] = base[c] + k, a, found
                        n += 1
    return leaf[:n].copy(), area[:n].copy(), state[:n].copy()


@kernel
def _doubled(values):
    longer = np.empty(2 * values.size, values.dtype)
    longer[: values.size] = values
    return longer


@kernel
def _edges_by_row(x, y, is_edge, first, last, frame):
    """Return (cells that an area spans: west, south, east, north; start of each row's edges; edges)."""
    x0, y0, width, height, n_x, n_y = frame
    low_x, high_x = x[first:last].min(), x[first:last].max()
    low_y, high_y = y[first:last].min(), y[first:last].max()
    box = (
        min(max(math.floor((low_x - x0) / width - PAD), 0), n_x - 1),
        min(max(math.floor((low_y - y0) / height - PAD), 0), n_y - 1),
        min(math.floor((high_x - x0) / width + PAD), n_x - 1),
        min(math.floor((high_y - y0) / height + PAD), n_y - 1),
    )
    start = np.zeros(box[3] - box[1] + 2, np.int64)
    edges = np.empty(0, np.int64)
    for is_counted in (False, True):
        filled = start[:-1].copy() if is_counted else start[1:]
        if is_counted:
            start = np.append(np.zeros(1, np.int64), np.cumsum(start[1:]))
            filled, edges = start[:-1].copy(), np.empty(start[-1], np.int64)
        for e in range(first, last - 1):
            if is_edge[e]:
                south, north = (min(y[e], y[e + 1]) - y0) / height, (max(y[e], y[e + 1]) - y0) / height
                for j in range(
                    min(max(math.floor(south - PAD), box[1]), box[3]), min(math.floor(north + PAD), box[3]) + 1
                ):
                    if is_counted:
                        edges[filled[j - box[1]]] = e
                    filled[j - box[1]] += 1
    return box, start, edges


@kernel
def reference_point(frame, m, i, j, k):
    """Return (x, y) in degrees of the reference point of leaf k of the cell in column i and row j."""
    return (
        frame[0] + (i + (k % m + REFERENCE_X) / m) * frame[2],
        frame[1] + (j + (k // m + REFERENCE_Y) / m) * frame[3],
    )


@kernel
def _state_at(x, y, edges, point):
    """Return whether a point is inside, by the edges that a ray to the east may cross."""
    px, py = point
    is_inside = False
    for e in edges:
        ax, ay, bx, by = x[e], y[e], x[e + 1], y[e + 1]
        if (ay > py) != (by > py):
            turn = orientation(ax, ay, bx, by, px, py)
            if turn == 0 or turn == 2:
                return UNSURE
            is_inside ^= (turn > 0) == (by > ay)
    return INSIDE if is_inside else OUTSIDE


@kernel
def _merge_entries(leaf_start, edge, area_of, covered_start, area, state):
    """Return the entries of every leaf: areas with edges in it, and areas that cover its reference point."""
    n_leaves = leaf_start.size - 1
    most = edge.size + area.size
    entry_start = np.zeros(n_leaves + 1, np.int64)
    entry_area, entry_state = np.empty(most, np.int32), np.empty(most, np.int8)
    entry_edge = np.empty(most + 1, np.int64)
    n = 0
    for leaf in range(n_leaves):
        e, end = leaf_start[leaf], leaf_start[leaf + 1]
        k, last = covered_start[leaf], covered_start[leaf + 1]
        while e < end or k < last:
            a = min(area_of[edge[e]] if e < end else np.int32(2**31 - 1), area[k] if k < last else np.int32(2**31 - 1))
            entry_area[n], entry_edge[n], entry_state[n] = a, e, OUTSIDE
            while e < end and area_of[edge[e]] == a:
                e += 1
            if k < last and area[k] == a:
                entry_state[n] = state[k]
                k += 1
            n += 1
        entry_start[leaf + 1] = n
    entry_edge[n] = edge.size
    return entry_start, entry_area[:n].copy(), entry_state[:n].copy(), entry_edge[: n + 1].copy()
