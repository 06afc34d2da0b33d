"""Radius of gyration and exploration against their naive twins and their own invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.exploration import explore
from pipeline.kernels.gyration import radius_of_gyration
from tests.naive import naive_explore, naive_mean_position, naive_radius_of_gyration

# Half widths of the box rows are strewn over: a street, a city, both sides of the series' reach, a continent.
SPREADS_DEG = [1e-5, 0.2, 2.8, 3.0, 40.0]
seeds = st.integers(0, 2**32 - 1)


@st.composite
def groups(draw):
    """Rows of one to four groups (some empty) as (group_start, lon, lat, weight, place)."""
    rng = np.random.default_rng(draw(seeds))
    sizes = draw(st.lists(st.integers(0, 12), min_size=1, max_size=4))
    spread, lon0 = draw(st.sampled_from(SPREADS_DEG)), draw(st.sampled_from([0.0, -77.0, 180.0]))
    lat0 = draw(st.sampled_from([0.0, 45.0, -45.0]))
    n = sum(sizes)
    lon = (lon0 + rng.uniform(-spread, spread, n) + 180) % 360 - 180
    lat = lat0 + rng.uniform(-spread, spread, n)
    return np.cumsum([0, *sizes]), lon, lat, rng.integers(0, 9, n).astype(float), rng.integers(0, 4, n)


settings_of_centre = st.tuples(st.sampled_from(["weighted", "unweighted"]), st.sampled_from(["sphere", "degrees"]))


@given(groups(), settings_of_centre)
@settings(max_examples=150, deadline=None)
def test_radius_equals_the_naive_twin(rows, centre):
    start, lon, lat, weight, place = rows
    radius_m = radius_of_gyration(start, lon, lat, weight, *centre, place)
    for g in range(start.size - 1):
        k = slice(start[g], start[g + 1])
        group = (lon[k].tolist(), lat[k].tolist(), weight[k].tolist())
        expected = naive_radius_of_gyration(*group, *centre, place[k].tolist())
        # a raw mean across the antimeridian lies opposite the rows, where straight lines lose digits
        allowed_m = 1.0 if expected > 1e7 else 1e-6
        assert radius_m[g] == pytest.approx(expected, rel=1e-9, abs=allowed_m, nan_ok=True)


@given(groups())
@settings(max_examples=60, deadline=None)
def test_no_weights_is_equal_weights(rows):
    start, lon, lat, _, _ = rows
    both = [radius_of_gyration(start, lon, lat, weight) for weight in (None, np.ones(lon.size))]
    np.testing.assert_array_equal(*both)


@given(groups(), st.floats(0.001, 1000))
@settings(max_examples=60, deadline=None)
def test_radius_ignores_order_scale_of_weights_and_rotation_about_the_axis(rows, scale):
    start, lon, lat, weight, _ = rows
    radius_m = radius_of_gyration(start, lon, lat, weight)
    same = [
        radius_of_gyration(start, lon, lat, weight * scale),
        radius_of_gyration(start, (lon + 217.3 + 180) % 360 - 180, lat, weight),
        radius_of_gyration(start, -lon, -lat, weight),
        radius_of_gyration(lon.size - start[::-1], lon[::-1].copy(), lat[::-1].copy(), weight[::-1].copy())[::-1],
    ]
    for other in same:
        np.testing.assert_allclose(other, radius_m, rtol=1e-9, atol=1e-6)


@given(seeds, st.sampled_from([1e-5, 0.2, 2.0]))
@settings(max_examples=60, deadline=None)
def test_turning_the_sphere_keeps_the_radius(seed, spread):
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(-spread, spread, (2, 10))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    phi, lam = np.radians(lat), np.radians(lon)
    vectors = rotation @ np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    turned_lon = np.degrees(np.arctan2(vectors[1], vectors[0]))
    turned_lat = np.degrees(np.arctan2(vectors[2], np.hypot(vectors[0], vectors[1])))
    start = np.array([0, 10])
    before, after = radius_of_gyration(start, lon, lat), radius_of_gyration(start, turned_lon, turned_lat)
    np.testing.assert_allclose(after, before, rtol=1e-7, atol=1e-7)


@given(groups())
@settings(max_examples=60, deadline=None)
def test_as_much_weight_again_at_the_centre_halves_the_mean_square(rows):
    start, lon, lat, weight, _ = rows
    k = slice(start[0], start[1])
    if weight[k].sum() == 0:
        assert np.isnan(radius_of_gyration(start, lon, lat, weight)[0])
        return
    centre = naive_mean_position(lon[k].tolist(), lat[k].tolist(), weight[k].tolist())
    assert np.isfinite(centre).all()
    radius_m = radius_of_gyration(start, lon, lat, weight)[0]
    far = np.append(lon[k], centre[0]), np.append(lat[k], centre[1]), np.append(weight[k], weight[k].sum())
    halved_m = radius_of_gyration(np.array([0, far[0].size]), *far)[0]
    assert halved_m == pytest.approx(radius_m / np.sqrt(2), rel=1e-7, abs=1e-6)


@st.composite
def visits(draw):
    rng = np.random.default_rng(draw(seeds))
    sizes = draw(st.lists(st.integers(0, 25), min_size=1, max_size=4))
    start = np.cumsum([0, *sizes])
    location = rng.integers(-2, 8, start[-1]) * draw(st.sampled_from([1, 10**15]))
    window = [np.sort(rng.integers(-3, 5, size)) for size in sizes]
    return start, location, np.concatenate(window).astype(np.int64)


@given(visits())
@settings(max_examples=120, deadline=None)
def test_exploration_equals_the_naive_twin(rows):
    start, location, window = rows
    result = explore(start, location, window)
    counts, is_new = naive_explore(start.tolist(), location.tolist(), window.tolist())
    assert list(zip(*(array.tolist() for array in result[:5]), strict=True)) == counts
    assert result.is_new.tolist() == is_new


@given(visits())
@settings(max_examples=80, deadline=None)
def test_new_locations_sum_to_distinct_locations(rows):
    start, location, window = rows
    result = explore(start, location, window)
    for device in range(start.size - 1):
        here = result.device == device
        visited = location[start[device] : start[device + 1]]
        assert result.n_new_locations[here].sum() == np.unique(visited).size
        assert result.n_visits[here].sum() == visited.size
    assert result.is_new.sum() == result.n_new_locations.sum()
    assert (result.n_new_locations <= result.n_locations).all()
    assert (result.n_locations <= result.n_visits).all()


@given(visits(), st.integers(-(10**6), 10**6))
@settings(max_examples=60, deadline=None)
def test_renumbering_windows_and_locations_changes_no_count(rows, shift):
    start, location, window = rows
    result, moved = explore(start, location, window), explore(start, -location, window + shift)
    assert (moved.window == result.window + shift).all()
    for name in ("device", "n_visits", "n_locations", "n_new_locations", "is_new"):
        assert (getattr(moved, name) == getattr(result, name)).all()
