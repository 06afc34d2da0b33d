"""Worked examples of the radius of gyration."""

import math

import numpy as np
import pytest

from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.gyration import radius_of_gyration

# Three places, as (lon, lat), with their visits and minutes: the method notes' test vector.
LON, LAT = np.array([-74.0, -74.0, -73.8]), np.array([40.0, 40.1, 40.0])
VISITS, MINUTES = np.array([10.0, 5.0, 1.0]), np.array([700.0, 400.0, 60.0])
ONE_GROUP = np.array([0, 3])


@pytest.mark.parametrize(
    ("weight", "centre_weights", "expected_km"),
    [
        (VISITS, "unweighted", 8.054688),
        (VISITS, "weighted", 6.600086),
        (MINUTES, "unweighted", 8.072599),
        (MINUTES, "weighted", 6.493175),
    ],
)
def test_vector_of_the_published_notebook(weight, centre_weights, expected_km):
    radius_m = radius_of_gyration(ONE_GROUP, LON, LAT, weight, centre_weights, "degrees", np.arange(3))
    assert radius_m[0] / 1000 == pytest.approx(expected_km, abs=1e-6)


def test_the_mean_on_the_sphere_differs_by_metres_here():
    # unweighted: 8,056.397 m against 8,054.688 m, because the mean parallel is not a great circle;
    # weighted: a tenth of a millimetre, because the weighted centre is where the squares are least
    on_sphere = radius_of_gyration(ONE_GROUP, LON, LAT, VISITS, "unweighted", "sphere", np.arange(3))
    assert on_sphere[0] == pytest.approx(8056.397, abs=1e-3)
    on_sphere = radius_of_gyration(ONE_GROUP, LON, LAT, VISITS)
    assert on_sphere[0] == pytest.approx(6600.0857, abs=1e-3)


def test_four_corners_on_the_equator_and_a_meridian():
    # one degree from the centre in the four directions: r_g is one degree of arc
    lon, lat = np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, -1.0])
    expected_m = EARTH_RADIUS_M * math.radians(1)
    for centre_space in ("sphere", "degrees"):
        radius_m = radius_of_gyration(np.array([0, 4]), lon, lat, None, "weighted", centre_space)
        assert radius_m[0] == pytest.approx(expected_m, rel=1e-14)


def test_the_antimeridian_is_no_border_on_the_sphere():
    start, lat = np.array([0, 2]), np.zeros(2)
    expected_m = EARTH_RADIUS_M * math.radians(0.01)
    lon = np.array([179.99, -179.99])
    assert radius_of_gyration(start, lon, lat)[0] == pytest.approx(expected_m, rel=1e-12)
    # a mean of raw degrees puts the centre half a turn away: the radius is 179.99 degrees of arc
    wrong_m = radius_of_gyration(start, lon, lat, centre_space="degrees")[0]
    assert wrong_m == pytest.approx(EARTH_RADIUS_M * math.radians(179.99), rel=1e-9)


def test_around_a_pole():
    lon, lat = np.array([0.0, 90.0, 180.0, -90.0]), np.full(4, 89.0)
    radius_m = radius_of_gyration(np.array([0, 4]), lon, lat)
    assert radius_m[0] == pytest.approx(EARTH_RADIUS_M * math.radians(1), rel=1e-12)


def test_no_rows_no_weight_or_no_centre_is_nan():
    start, lon, lat = np.array([0, 0, 1, 3]), np.array([5.0, 0.0, 180.0]), np.zeros(3)
    radius_m = radius_of_gyration(start, lon, lat, np.array([0.0, 1.0, 1.0]))
    assert np.isnan(radius_m).all()
    assert radius_of_gyration(np.array([0, 1]), lon[:1], lat[:1])[0] == 0.0


def test_repeated_visits_to_a_place_count_once_in_an_unweighted_centre():
    lon, lat, place = np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(4), np.array([7, 7, 7, 3])
    radius_m = radius_of_gyration(np.array([0, 4]), lon, lat, None, "unweighted", "sphere", place)
    assert radius_m[0] == pytest.approx(EARTH_RADIUS_M * math.radians(0.5), rel=1e-12)


def test_inputs_are_not_changed():
    lon, lat, weight = LON.copy(), LAT.copy(), VISITS.copy()
    for array in (lon, lat, weight):
        array.flags.writeable = False
    radius_of_gyration(ONE_GROUP, lon, lat, weight)
    assert (lon == LON).all() and (lat == LAT).all() and (weight == VISITS).all()


def test_refusals():
    with pytest.raises(ValueError, match="place is required"):
        radius_of_gyration(ONE_GROUP, LON, LAT, VISITS, "unweighted")
    with pytest.raises(ValueError, match="centre_weights"):
        radius_of_gyration(ONE_GROUP, LON, LAT, VISITS, "heavy")
    with pytest.raises(ValueError, match="centre_space"):
        radius_of_gyration(ONE_GROUP, LON, LAT, VISITS, "weighted", "plane")
    with pytest.raises(ValueError, match="same rows"):
        radius_of_gyration(np.array([0, 2]), LON, LAT, VISITS)
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="weights"):
            radius_of_gyration(ONE_GROUP, LON, LAT, np.array([1.0, 1.0, bad]))
