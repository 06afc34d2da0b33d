"""Areas of positions against exact arithmetic and shapely: holes, parts, overlaps, borders, steep and tiny edges."""

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.geography import areas_at, index_shapes
from pipeline.kernels import area_grid
from pipeline.kernels.area_lookup import UNDECIDED, find_areas, nearest_areas
from tests.naive_places import naive_area_at, naive_border_m

# Round numbers make positions fall on borders and vertices, odd ones make rounding matter.
SCALES = st.sampled_from([1.0, 0.1, 1 / 3, 1e-4, 1e-7])
ORIGINS = st.sampled_from([(0.0, 0.0), (-74.0, 40.7), (116.3, 39.9), (179.0, -17.0), (-180.0, -90.0)])


@st.composite
def shapes_and_positions(draw):
    """Valid areas on a lattice (made so by shapely, hence with holes and parts), and positions on and off it."""
    corners = draw(st.lists(st.lists(st.tuples(*[st.integers(0, 12)] * 2), min_size=3, max_size=9), max_size=6))
    scale, (x0, y0) = draw(SCALES), draw(ORIGINS)
    shapes = [shapely.make_valid(shapely.Polygon([(x0 + scale * x, y0 + scale * y) for x, y in c])) for c in corners]
    shapes = [polygonal(shape) for shape in shapes]
    # What make_valid cuts may be off by a digit, and then still invalid.
    shapes = np.array([s for s in shapes if not s.is_empty and s.is_valid], dtype=object)
    halves = st.integers(-2, 26).map(lambda n: n / 2)
    steps = draw(st.lists(st.tuples(halves, halves), min_size=1, max_size=20))
    at = [(x0 + scale * x, y0 + scale * y) for x, y in steps]
    seed = draw(st.integers(0, 2**32 - 1))
    off = np.random.default_rng(seed).uniform(-1, 13, (20, 2)) * scale + [x0, y0]
    vertices = [xy for shape in shapes for xy in shapely.get_coordinates(shape)][:40]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(vertices)]
    return shapes, np.array([*at, *off, *vertices, *middles])


def polygonal(shape):
    parts = shapely.get_parts(shape)
    return shapely.union_all(parts[np.isin(shapely.get_type_id(parts), (3, 6))])


def rings_of(shape):
    """All rings of a shape, holes and parts alike."""
    return [shapely.get_coordinates(ring).tolist() for ring in shapely.get_rings(shapely.get_parts(shape))]


def first_of_shapely(shapes, positions):
    holds = [shapely.intersects(shapes, shapely.Point(xy)) for xy in positions]
    return [int(np.flatnonzero(held)[0]) if held.any() else -1 for held in holds]


@given(shapes_and_positions())
@settings(max_examples=300, deadline=None)
def test_areas_equal_shapely_and_the_kernel_is_exact_where_it_decides(case):
    shapes, positions = case
    lon, lat = positions.T.copy()
    assert areas_at(shapely.to_wkb(shapes), lon, lat).tolist() == first_of_shapely(shapes, positions)
    if shapes.size:
        found = find_areas(index_shapes(shapes), lon, lat)
        exact = [naive_area_at([rings_of(s) for s in shapes], *xy) for xy in positions.tolist()]
        decided = found != UNDECIDED
        assert found[decided].tolist() == np.array(exact)[decided].tolist()


@given(shapes_and_positions(), st.sampled_from([(1, 1), (1, 100), (1000, 1), (3, 2)]))
@settings(max_examples=100, deadline=None)
def test_how_the_grid_is_cut_does_not_matter(case, cutting):
    shapes, positions = case
    lon, lat = positions.T.copy()
    if not shapes.size:
        return
    expected = first_of_shapely(shapes, positions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(area_grid, "EDGES_PER_CELL", cutting[0])
        patch.setattr(area_grid, "EDGES_PER_LEAF", cutting[1])
        assert areas_at(shapely.to_wkb(shapes), lon, lat).tolist() == expected


@given(shapes_and_positions(), st.sampled_from([1.0, 500.0, 30_000.0, 400_000.0]))
@settings(max_examples=100, deadline=None)
def test_nearest_area_within_a_distance_equals_the_twin(case, max_distance_m):
    shapes, positions = case
    if not shapes.size:
        return
    lon, lat = positions.T.copy()
    lat = np.clip(lat, -89.0, 89.0)
    nearest = nearest_areas(index_shapes(shapes), lon, lat, max_distance_m)
    for k in range(lon.size):
        apart_m = np.array([naive_border_m(rings_of(s), lon[k], lat[k]) for s in shapes])
        if nearest[k] < 0:
            assert apart_m.min() > max_distance_m * (1 - 1e-9)
        else:
            assert apart_m[nearest[k]] <= max_distance_m * (1 + 1e-9) + 1e-6
            assert apart_m[nearest[k]] == pytest.approx(apart_m.min(), rel=1e-9, abs=1e-6)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_random_stars_far_from_any_lattice(seed):
    rng = np.random.default_rng(seed)
    shapes = np.array([star(rng) for _ in range(12)], dtype=object)
    positions = rng.uniform(-3, 3, (300, 2))
    lon, lat = positions.T.copy()
    found = find_areas(index_shapes(shapes), lon, lat)
    assert found.tolist() == first_of_shapely(shapes, positions)


def star(rng):
    """A polygon with a hole about a random centre."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
    radius = rng.uniform(0.3, 1.5, 40)
    outline = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    return shapely.make_valid(shapely.Polygon(outline + rng.uniform(-2, 2, 2))).buffer(0)
