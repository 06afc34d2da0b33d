"""Areas of positions, worked by hand: borders, overlaps, holes, the antimeridian, the poles, the nearest one."""

import numpy as np
import pytest
import shapely
from shapely.geometry import MultiPolygon, Polygon, box

from pipeline.geography import areas_at, index_shapes
from pipeline.kernels.area_grid import build_area_index
from pipeline.kernels.area_lookup import NOWHERE, UNDECIDED, find_areas

DEGREE_M = 6_371_000 * np.pi / 180


def at(shapes, positions, max_distance_m=0.0):
    lon, lat = np.array(positions, float).T.copy()
    wkb = shapely.to_wkb(np.array(shapes, dtype=object))
    return areas_at(wkb, lon, lat, max_distance_m).tolist()


def test_borders_and_corners_belong_to_all_and_the_first_wins():
    tiles = [box(x, y, x + 1, y + 1) for y in (0, 1) for x in (0, 1)]
    assert at(tiles, [(0.5, 0.5), (1, 0.5), (1, 1), (0.5, 1), (1.5, 1), (2, 2), (2, 2.0000000001)]) == [
        0, 0, 0, 0, 1, 3, -1,
    ]  # fmt: skip
    assert at(tiles[::-1], [(1, 1), (1, 0.5)]) == [0, 2]


def test_holes_islands_parts_and_overlaps():
    ring = Polygon(box(0, 0, 10, 10).exterior, [box(2, 2, 8, 8).exterior])
    archipelago = MultiPolygon([box(4, 4, 5, 5), box(20, 0, 21, 1)])
    positions = [(1, 1), (3, 3), (4.5, 4.5), (20.5, 0.5), (2, 5), (15, 0.5)]
    assert at([ring, archipelago], positions) == [0, -1, 1, 1, 0, -1]
    assert at([ring, box(-5, -5, 15, 15), archipelago], positions) == [0, 1, 1, 2, 0, 1]


def test_small_areas_beside_large_ones():
    """A city in a desert: cells that many edges pass are cut."""
    small = [box(x, y, x + 1e-3, y + 1e-3) for x in np.arange(60) * 1e-3 for y in np.arange(60) * 1e-3]
    shapes = [*small, box(-100, -80, 100, 80)]
    index = index_shapes(np.array(shapes, dtype=object))
    assert index.side.max() > 8
    assert at(shapes, [(0.0305, 0.0205), (50, 50), (0.0601, 0.0), (-100, -80)]) == [30 * 60 + 20, 3600, 3600, 3600]


def test_areas_beyond_the_antimeridian_and_at_the_poles():
    """Cut there or going on beyond 180: found. Leaping from 179 to -179: the wide polygon it is in the plane."""
    cut = MultiPolygon([box(170, -20, 180, -10), box(-180, -20, -170, -10)])
    beyond = box(170, 10, 190, 20)
    west = box(-190, 40, -175, 50)
    cap = box(-180, 80, 180, 90)
    positions = [(175, -15), (-175, -15), (175, 15), (-175, 15), (-165, 15), (175, 45), (-178, 45), (0, 90), (12, 85)]
    assert at([cut, beyond, west, cap], positions) == [0, 0, 1, 1, -1, 2, 2, 3, 3]
    wide = Polygon([(179, 0), (-179, 0), (-179, 5), (179, 5)])
    assert at([wide], [(0, 2), (179.5, 2)]) == [0, -1]


def test_the_nearest_within_a_distance():
    shapes = [box(0, 0, 1, 1), box(2, 0, 3, 1), box(-179.9, 0, -179, 1)]
    positions = [(1.5, 0.5), (1.4, 0.5), (1.6, 0.5), (0.5, 1.001), (179.95, 0.5), (50, 50)]
    assert at(shapes, positions, 0.5 * DEGREE_M) == [0, 0, 1, 0, 2, -1]
    assert at(shapes, positions, 0.1 * DEGREE_M) == [-1, -1, -1, 0, -1, -1]
    # Half-way to the north a degree of longitude is half as long.
    assert at([box(1, 59, 2, 61)], [(0, 60)], 0.501 * DEGREE_M) == [0]
    assert at([box(1, 59, 2, 61)], [(0, 60)], 0.499 * DEGREE_M) == [-1]
    # A position that an area holds stays with it, however near another is.
    assert at([box(1, 0, 2, 1), box(0, 0, 1 - 1e-9, 1)], [(1 - 1e-8, 0.5)], 1e4) == [1]


def test_what_doubles_cannot_decide_is_asked_of_shapely(monkeypatch):
    """0.1 + 0.2 is not 0.3: positions on slanting lines, as near as doubles come."""
    triangle = Polygon([(0, 0), (0.3, 0.1), (0.6, 1.1)])
    k = np.arange(1, 1000) / 1000
    lon, lat = 0.3 * k, 0.1 * k
    index = index_shapes(np.array([triangle], dtype=object))
    found = find_areas(index, lon, lat)
    assert (found == UNDECIDED).any()
    expected = np.where(shapely.intersects_xy(triangle, lon, lat), 0, -1)
    assert areas_at(shapely.to_wkb(np.array([triangle], dtype=object)), lon, lat).tolist() == expected.tolist()
    decided = found != UNDECIDED
    assert (found[decided] == expected[decided]).all()


def test_nothing_asked_nothing_there_and_no_numbers():
    assert at([], [(0, 0)]) == [NOWHERE]
    assert areas_at(shapely.to_wkb(np.array([box(0, 0, 1, 1)])), np.empty(0), np.empty(0), 10.0).size == 0
    assert at([box(0, 0, 1, 1)], [(np.nan, 0.5), (0.5, np.inf), (0.5, 0.5)], 10.0) == [-1, -1, 0]
    x, y = np.array([0.0, 1, 1, 0]), np.array([0.0, 0, 1, 0])
    for bad, says in ((np.array([0.0, 1, 1, 0.5]), "end where it begins"), (np.array([0, 1, np.nan, 0]), "finite")):
        with pytest.raises(ValueError, match=says):
            build_area_index(bad, y, np.array([0, 4]), np.array([0, 1]))
    assert find_areas(build_area_index(x, y, np.array([0, 4]), np.array([0, 1])), x, y).tolist() == [0] * 4


def test_order_of_the_grid_gives_the_same_as_order_of_rows(monkeypatch):
    shapes = np.array([box(x, y, x + 1, y + 1) for x in range(5) for y in range(5)], dtype=object)
    lon, lat = np.random.default_rng(0).uniform(-1, 6, (2, 1000))
    index = index_shapes(shapes)
    by_row = find_areas(index, lon, lat)
    monkeypatch.setattr("pipeline.kernels.area_lookup.SORT_FROM", 1)
    assert find_areas(index, lon, lat).tolist() == by_row.tolist()
    assert find_areas(index, np.append(lon, np.nan), np.append(lat, 0.5)).tolist() == [*by_row.tolist(), NOWHERE]
