"""Distances and means on the sphere against unit vectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.geodesy import EARTH_RADIUS_M, haversine_m, mean_position, wrap_lon
from tests.naive import naive_great_circle_m, naive_mean_position

lons, lats = st.floats(-180, 180), st.floats(-90, 90)
points = st.tuples(lons, lats)
HALF_TURN_M = np.pi * EARTH_RADIUS_M


@given(points, points)
@settings(max_examples=200, deadline=None)
def test_distance_equals_the_angle_between_unit_vectors(a, b):
    # near the antipode the haversine loses digits: its error there grows to a metre
    assert haversine_m(*a, *b) == pytest.approx(naive_great_circle_m(*a, *b), rel=1e-9, abs=1.0)
    assert haversine_m(*a, *b) == haversine_m(*b, *a)
    assert 0 <= haversine_m(*a, *b) <= HALF_TURN_M * (1 + 1e-15)


@given(points, st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
@settings(max_examples=200, deadline=None)
def test_short_distances_are_right_to_a_micrometre(a, dlon, dlat):
    b = (a[0] + dlon, min(90.0, max(-90.0, a[1] + dlat)))
    assert haversine_m(*a, *b) == pytest.approx(naive_great_circle_m(*a, *b), abs=1e-6)


@given(points, points, points)
@settings(max_examples=100, deadline=None)
def test_triangle_inequality(a, b, c):
    assert haversine_m(*a, *c) <= haversine_m(*a, *b) + haversine_m(*b, *c) + 1.0


@given(points, points, st.integers(-2, 2))
@settings(max_examples=100, deadline=None)
def test_whole_turns_change_no_distance(a, b, turns):
    turned = haversine_m(a[0] + 360 * turns, a[1], *b)
    assert turned == pytest.approx(haversine_m(*a, *b), rel=1e-9, abs=1.0)


@given(st.floats(-1e6, 1e6))
@settings(max_examples=200, deadline=None)
def test_wrapping_keeps_the_direction(lon):
    wrapped = wrap_lon(lon)
    assert -180 <= wrapped < 180
    turns = (lon - wrapped) / 360
    assert turns == pytest.approx(round(turns), abs=1e-9)
    assert wrap_lon(wrapped) == pytest.approx(wrapped, abs=1e-12)


@given(st.lists(st.tuples(lons, lats, st.floats(0.1, 10)), min_size=1, max_size=12), st.floats(0.1, 50))
@settings(max_examples=150, deadline=None)
def test_mean_equals_the_naive_twin_and_ignores_the_scale_of_weights(rows, scale):
    lon, lat, weight = (np.array(column) for column in zip(*rows, strict=True))
    mean = mean_position(lon, lat, weight)
    if np.isnan(mean).any():
        assert np.isnan(mean).all()
        return
    length = np.linalg.norm(_mean_vector(lon, lat, weight))
    # the direction of a short resultant is known only to rounding over its length
    tolerance_m = 1e-7 + 1e-7 / length
    expected = naive_mean_position(lon.tolist(), lat.tolist(), weight.tolist())
    assert naive_great_circle_m(*mean, *expected) < tolerance_m
    assert naive_great_circle_m(*mean, *mean_position(lon, lat, weight * scale)) < tolerance_m


@given(points, st.integers(1, 30))
@settings(max_examples=80, deadline=None)
def test_the_mean_of_one_repeated_position_is_that_position(point, n):
    mean = mean_position(np.full(n, point[0]), np.full(n, point[1]), np.ones(n))
    assert naive_great_circle_m(*mean, *point) < 1e-6


def _mean_vector(lon, lat, weight):
    phi, lam = np.radians(lat), np.radians(lon)
    vectors = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    return (vectors * weight).sum(axis=1) / weight.sum()
