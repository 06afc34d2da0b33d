"""Which area holds a position: what stages that join areas share. The search itself is `kernels.area_lookup`."""

import numpy as np
import shapely
from numpy.typing import NDArray

from pipeline.kernels.area_grid import AreaIndex, build_area_index
from pipeline.kernels.area_lookup import NOWHERE, UNDECIDED, find_areas, nearest_areas

HALF_TURN, WHOLE_TURN = 180.0, 360.0


def areas_at(
    wkb: NDArray[np.object_], lon: NDArray[np.float64], lat: NDArray[np.float64], max_distance_m: float = 0.0
) -> NDArray[np.int64]:
    """Return the row of the area that holds each position, else the nearest within `max_distance_m`, else -1.

    Areas are valid polygons in degrees as well-known binary, in the order in which ties are decided: of
    several areas that hold a position (borders do), or are equally near, the first wins. "Holds" is shapely's
    ``intersects`` exactly; distances are those of `area_lookup.nearest_areas`, in metres.

    Degrees are a plane, as in shapely. A part of an area beyond 180 degrees of longitude is looked up at
    its ordinary longitude as well; an area that crosses the antimeridian should be cut there (RFC 7946) or go
    on beyond 180. A polygon that leaps from 179 to -179 is read as the wide one it is in the plane. A pole is met
    only by an area that reaches latitude 90 at the position's own longitude.
    """
    if not (len(wkb) and lon.size):
        return np.full(lon.size, NOWHERE, np.int64)
    shapes, row = _with_wrapped(shapely.from_wkb(wkb))
    index = index_shapes(shapes)
    found = find_areas(index, lon, lat)
    undecided = np.flatnonzero(found == UNDECIDED)
    if undecided.size:
        found[undecided] = _ask_shapely(shapes, lon[undecided], lat[undecided])
    if max_distance_m > 0:
        outside = np.flatnonzero(found == NOWHERE)
        found[outside] = nearest_areas(index, lon[outside], lat[outside], max_distance_m)
    return np.where(found == NOWHERE, NOWHERE, row[found])


def index_shapes(shapes: NDArray[np.object_]) -> AreaIndex:
    """Return the index over polygons and multipolygons, numbered as they stand."""
    kind, vertices, offsets = shapely.to_ragged_array(shapes, include_z=False)
    ring_start, area_start = offsets[0], offsets[1]
    if kind == shapely.GeometryType.MULTIPOLYGON:
        area_start = area_start[offsets[2]]
    x, y = np.ascontiguousarray(vertices.T)
    return build_area_index(x, y, ring_start.astype(np.int64), area_start.astype(np.int64))


def _with_wrapped(shapes: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Return shapes and the row of each, those beyond 180 degrees a second time, a turn further, beside the first."""
    bounds = shapely.bounds(shapes)
    rows, copies = [np.arange(shapes.size)], [shapes]
    for is_beyond, turn in (
        (bounds[:, 2] > HALF_TURN, -WHOLE_TURN),
        (bounds[:, 0] < -HALF_TURN, WHOLE_TURN),
    ):
        rows.append(np.flatnonzero(is_beyond))
        copies.append(_turned(shapes[is_beyond], turn))
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    return np.concatenate(copies)[order], row[order]


def _turned(shapes: NDArray[np.object_], turn: float) -> NDArray[np.object_]:
    return shapely.transform(shapes, lambda xy: np.add(xy, (turn, 0.0)))


def _ask_shapely(shapes: NDArray[np.object_], lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the first shape that each position intersects, -1 for none."""
    position, shape = shapely.STRtree(shapes).query(shapely.points(lon, lat), predicate="intersects")
    first = np.full(lon.size, shapes.size, np.int64)
    np.minimum.at(first, position, shape)
    return np.where(first == shapes.size, NOWHERE, first)
