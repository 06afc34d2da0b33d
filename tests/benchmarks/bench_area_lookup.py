"""Positions into tens of thousands of areas: our join beside geopandas' spatial join, same data, one thread each.

    python -m tests.benchmarks.bench_area_lookup --positions 10000000 --areas 70000

The areas tile the plane: a lattice pulled about, its borders bent, every tenth area with a hole that is an area of
its own, every fiftieth in two parts, and a tenth as many large areas laid over all. Positions are in random
order, the worst one. Ours is timed from well-known binary to row numbers, building of the index included, and
alone; geopandas from frames that hold its geometries already, on as many positions as --peer-positions. Both say
for a position in several areas which of them is first, and must agree before anything is printed. Seconds are the
processor's, so that a busy machine counts against nobody.
"""

import argparse
import time

import geopandas as gpd
import numpy as np
import shapely

from pipeline.geography import areas_at, index_shapes
from pipeline.kernels.area_lookup import UNDECIDED, find_areas

SEED = 3
CELL_DEG = 0.02


def make_areas(n_areas, n_bends):
    """Return valid polygons and multipolygons in degrees, about `n_areas` of them."""
    rng = np.random.default_rng(SEED)
    n = round(np.sqrt(n_areas))
    lattice = np.stack(np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0), indexing="ij"), -1)
    lattice += rng.uniform(-0.25, 0.25, lattice.shape)
    sides = [_bent(lattice[:-1], lattice[1:], n_bends, rng), _bent(lattice[:, :-1], lattice[:, 1:], n_bends, rng)]
    outlines = [_outline(lattice, sides, i, j) for i in range(n) for j in range(n)]
    tiles = shapely.make_valid(shapely.polygons(np.stack(outlines)))
    tiles[shapely.get_type_id(tiles) > 6] = shapely.buffer(tiles[shapely.get_type_id(tiles) > 6], 0)
    holes = shapely.buffer(shapely.centroid(tiles[::10]), 0.1, quad_segs=4)
    tiles[::10] = shapely.difference(tiles[::10], holes)
    # Two parts: a far tile joins another.
    far = tiles[25::50]
    tiles[5 : 5 + 50 * far.size : 50] = shapely.union(tiles[5 : 5 + 50 * far.size : 50], far)
    large = shapely.buffer(shapely.points(rng.uniform(0, n, (n * n // 100, 2))), 3.0, quad_segs=16)
    shapes = np.concatenate([tiles, holes, large])
    shapes = shapely.transform(shapes, lambda xy: xy * CELL_DEG + [-100.0, 30.0])
    return shapes[shapely.is_valid(shapes) & ~shapely.is_empty(shapes)]


def _bent(a, b, n_bends, rng):
    """Return the bends between two corners, each off the straight line by up to a tenth of its length."""
    along = np.linspace(0, 1, n_bends + 2)[1:-1, None]
    step = b - a
    aside = np.stack([-step[..., 1], step[..., 0]], -1)
    off = rng.uniform(-0.06, 0.06, (*a.shape[:-1], n_bends, 1))
    return a[..., None, :] + along * step[..., None, :] + off * aside[..., None, :]


def _outline(lattice, sides, i, j):
    east, north = sides
    corners = [lattice[i, j], lattice[i + 1, j], lattice[i + 1, j + 1], lattice[i, j + 1], lattice[i, j]]
    between = [east[i, j], north[i + 1, j], east[i, j + 1][::-1], north[i, j][::-1]]
    return np.concatenate([part for k in range(4) for part in (corners[k][None], between[k])] + [corners[4][None]])


def of_geopandas(areas, lon, lat):
    """Return the first area that each position intersects, -1 for none, by a spatial join."""
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326")
    joined = points.sjoin(areas, how="inner", predicate="intersects")
    first = joined.groupby(level=0)["index_right"].min()
    return first.reindex(points.index, fill_value=-1).to_numpy()


def seconds_of(function):
    """Return (processor seconds, result): a busy machine counts against nobody; all run on one thread."""
    began = time.process_time()
    result = function()
    return time.process_time() - began, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--positions", type=int, default=10_000_000)
    parser.add_argument("--peer-positions", type=int, default=1_000_000)
    parser.add_argument("--areas", type=int, default=70_000)
    parser.add_argument("--bends", type=int, default=10, help="vertices between two corners of an area")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    shapes = make_areas(args.areas, args.bends)
    wkb = shapely.to_wkb(shapes)
    areas = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:4326")
    west, south, east, north = shapely.total_bounds(shapes)
    rng = np.random.default_rng(SEED)
    lon, lat = rng.uniform(west, east, args.positions), rng.uniform(south, north, args.positions)
    few = slice(args.peer_positions)
    areas_at(wkb[:1], lon[:1], lat[:1])  # compiles
    n_parts = shapely.get_num_geometries(shapes)
    print(
        f"{shapes.size} areas, {shapely.get_num_coordinates(shapes).sum()} vertices, {(n_parts > 1).sum()} in parts, "
        f"{args.positions} positions"
    )
    for _ in range(args.rounds):
        index_s, index = seconds_of(lambda: index_shapes(shapes))
        kernel_s, found = seconds_of(lambda: find_areas(index, lon, lat))  # noqa: B023
        whole_s, row = seconds_of(lambda: areas_at(wkb, lon, lat))
        peer_s, peer = seconds_of(lambda: of_geopandas(areas, lon[few], lat[few]))
        assert (row[few] == peer).all(), "the joins differ"
        ours, theirs = args.positions / whole_s / 1e6, peer.size / peer_s / 1e6
        print(
            f"whole join {whole_s:.2f} s, {ours:.2f} M/s; index {index_s:.2f} s; look-up {kernel_s:.2f} s, "
            f"{args.positions / kernel_s / 1e6:.2f} M/s, {(found == UNDECIDED).sum()} undecided; "
            f"geopandas {theirs:.2f} M/s on {peer.size} positions; ratio {ours / theirs:.1f}"
        )


if __name__ == "__main__":
    main()
