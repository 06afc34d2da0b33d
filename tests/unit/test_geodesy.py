"""Worked examples of distances and means on the sphere."""

import math

import numpy as np
import pytest

from pipeline.kernels.geodesy import E7_RADIANS, EARTH_RADIUS_M, haversine_m, mean_position, wrap_lon


def test_distances_that_are_known():
    degree_m = math.pi * EARTH_RADIUS_M / 180  # 111,194.93 m
    assert haversine_m(0.0, 0.0, 0.0, 1.0) == pytest.approx(degree_m, rel=1e-12)
    assert haversine_m(0.0, 0.0, 1.0, 0.0) == pytest.approx(degree_m, rel=1e-12)
    # cos(60 degrees) is a half: a hundredth of a degree of longitude is half as long there
    assert haversine_m(0.0, 60.0, 0.01, 60.0) == pytest.approx(0.005 * degree_m, rel=1e-7)
    assert haversine_m(0.0, 0.0, 180.0, 0.0) == pytest.approx(180 * degree_m, rel=1e-12)
    assert haversine_m(-12.0, 90.0, 77.0, 90.0) == pytest.approx(0.0, abs=1e-6)
    assert haversine_m(179.5, 0.0, -179.5, 0.0) == pytest.approx(degree_m, rel=1e-12)


def test_a_step_of_1e_7_degrees_is_a_centimetre():
    assert haversine_m(0.0, 0.0, 1e-7, 0.0) == pytest.approx(0.0111194927, rel=1e-8)
    assert math.isclose(E7_RADIANS * EARTH_RADIUS_M, 0.0111194927, rel_tol=1e-8)


@pytest.mark.parametrize(("lon", "wrapped"), [(0, 0), (180, -180), (-180, -180), (190, -170), (-190, 170), (540, -180)])
def test_longitudes_are_wrapped(lon, wrapped):
    assert wrap_lon(float(lon)) == wrapped


def test_means_that_are_known():
    ones = np.ones(2)
    lon, lat = mean_position(np.array([179.0, -179.0]), np.zeros(2), ones)
    assert (abs(lon), lat) == pytest.approx((180.0, 0.0))
    lon, lat = mean_position(np.array([0.0, 90.0]), np.zeros(2), np.array([1.0, math.sqrt(3)]))
    assert (lon, lat) == pytest.approx((60.0, 0.0))
    # two points on the parallel of 45 degrees: their mean lies north of it, on the great circle
    lon, lat = mean_position(np.array([-45.0, 45.0]), np.full(2, 45.0), ones)
    assert (lon, lat) == pytest.approx((0.0, math.degrees(math.atan(math.sqrt(2)))))


def test_points_that_cancel_out_or_weigh_nothing_have_no_mean():
    assert np.isnan(mean_position(np.array([0.0, 180.0]), np.zeros(2), np.ones(2))).all()
    assert np.isnan(mean_position(np.array([10.0]), np.array([10.0]), np.zeros(1))).all()
    assert np.isnan(mean_position(np.empty(0), np.empty(0), np.empty(0))).all()
