"""Places near a position, and their probabilities, against the twins: any latitude, any longitude, ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.poi_lookup import NO_POI, NearPois, nearest_pois, weigh_pois
from tests.naive_places import naive_nearest_pois, naive_poi_probabilities

CENTRES = st.sampled_from([(-74.0, 40.7), (180.0, -17.0), (-180.0, 65.0), (20.0, 89.9999), (-70.0, -90.0), (0.0, 0.0)])


@st.composite
def pois_and_positions(draw):
    """Places and positions on a lattice of some 11 m, so that exact repeats are common."""
    lon0, lat0 = draw(CENTRES)
    steps = st.lists(st.tuples(st.integers(-12, 12), st.integers(-12, 12)), min_size=1, max_size=30)
    found = []
    for _ in range(2):
        east, north = np.array(draw(steps), float).T * 1e-4
        east = east * (1e4 if abs(lat0) > 89 else 1)
        lat = lat0 + north
        found += [(lon0 + east + 180) % 360 - 180, np.where(abs(lat) > 90, np.sign(lat) * 180 - lat, lat)]
    return found


@given(pois_and_positions(), st.integers(1, 6), st.sampled_from([0.5, 20.0, 90.0, 400.0, 3e6]))
@settings(max_examples=200, deadline=None)
def test_nearest_equal_the_twin(places, k, radius_m):
    poi_lon, poi_lat, lon, lat = places
    near = nearest_pois(poi_lon, poi_lat, lon, lat, k, radius_m)
    for p in range(lon.size):
        expected = naive_nearest_pois(poi_lon, poi_lat, lon[p], lat[p], k, radius_m)
        found = near.distance_m[p][near.poi[p] != NO_POI]
        # Distances a rounding apart may be in either order, and ties by number.
        assert found == pytest.approx([metres for _, metres in expected], abs=1e-5)
        assert (np.diff(found) >= 0).all()
        ties = np.diff(found) == 0
        assert (np.diff(near.poi[p][: found.size])[ties] > 0).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([10.0, 50.0]), st.sampled_from([0.3, 1.0]))
@settings(max_examples=150, deadline=None)
def test_probabilities_equal_the_twin(seed, k, scale_m, dwell_log_sd):
    rng = np.random.default_rng(seed)
    n_near = int(rng.integers(0, k + 1))
    poi, distance_m = np.full((1, k), NO_POI), np.full((1, k), np.nan)
    poi[0, :n_near] = rng.permutation(8)[:n_near]
    distance_m[0, :n_near] = np.sort(rng.integers(0, 5, n_near)) * 20.0
    usual = np.where(rng.random(8) < 0.3, np.nan, rng.integers(1, 9, 8) * 600.0)
    weight = np.where(rng.random(8) < 0.3, np.nan, rng.integers(1, 9, 8).astype(float))
    dwell_s = rng.integers(0, 7200, 3).astype(float)
    found = weigh_pois(NearPois(poi, distance_m), np.zeros(3, int), dwell_s, usual, weight, scale_m, dwell_log_sd)
    candidates = list(zip(poi[0, :n_near].tolist(), distance_m[0, :n_near].tolist(), strict=True))
    for v in range(3):
        shares = naive_poi_probabilities(candidates, dwell_s[v], usual, weight, scale_m, dwell_log_sd)
        expected = dict(zip(poi[0, :n_near].tolist(), shares, strict=True))
        assert sorted(found.poi[v, :n_near].tolist()) == sorted(expected)
        assert found.probability[v, :n_near] == pytest.approx([expected[i] for i in found.poi[v, :n_near]], rel=1e-9)
        assert (np.diff(found.probability[v, :n_near]) <= 0).all()
        assert found.probability[v, :n_near].sum() == pytest.approx(1.0 if n_near else 0.0)
        assert (found.poi[v, n_near:] == NO_POI).all() and np.isnan(found.probability[v, n_near:]).all()
