"""Radius of gyration and exploration against their naive twins and their own invariances."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.gyration import radius_of_gyration
from pipeline.stage import STAGES
from pipeline.study import Study
from tests.day_rows import make_day_visits
from tests.measure_rows import run_measure
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
    """Rows for make_day_visits: up to four devices, a visit every three hours, with days on which there is none."""
    rng = np.random.default_rng(draw(seeds))
    sizes = draw(st.lists(st.integers(1, 25), min_size=1, max_size=4))
    hours = [np.sort(rng.choice(64, size, replace=False)) * 3 for size in sizes]
    return [(d, 60 * int(h), 30, int(rng.integers(0, 8)), None, 0) for d, row in enumerate(hours) for h in row]


@given(visits())
@settings(max_examples=25, deadline=None)
def test_exploration_equals_the_naive_twin(rows):
    """By day; new locations then sum to the distinct ones."""
    study = Study(name="s", start=date(2020, 1, 6), end=date(2020, 1, 13), zone="UTC", sources=())
    found = run_measure(
        STAGES["exploration"], make_day_visits(rows), study, STAGES["exploration"].params(windows=("day",))
    )
    start = np.searchsorted([row[0] for row in rows], range(rows[-1][0] + 2)).tolist()
    counts, _ = naive_explore(start, [row[3] for row in rows], [row[1] // 1440 for row in rows])
    days = (found["window_started"].to_numpy().astype("datetime64[D]") - np.datetime64(study.start)).astype(int)
    ours = found.assign(day=days)[["device_id", "day", "n_visits", "n_locations", "n_new_locations"]]
    assert list(ours.itertuples(index=False, name=None)) == counts
    distinct = {device: len({row[3] for row in rows if row[0] == device}) for device, *_ in rows}
    assert found.groupby("device_id")["n_new_locations"].sum().to_dict() == distinct
    assert found.groupby("device_id")["n_locations_so_far"].last().to_dict() == distinct
