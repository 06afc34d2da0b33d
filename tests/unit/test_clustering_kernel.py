"""Worked examples of place clustering. At the equator 0.001 degrees are 111.19 m."""

import numpy as np
import pytest

from pipeline.kernels.clustering import cluster_places, members_by_place, summarise_places
from pipeline.kernels.geodesy import haversine_m

DEGREES_PER_M = 0.001 / 111.19492664455873


def _clusters(metres_east, eps_m, min_samples=1, lat=0.0, lon0=0.0):
    lon = lon0 + np.array(metres_east, float) * DEGREES_PER_M
    return cluster_places(np.array([0, lon.size]), lon, np.full(lon.size, lat), eps_m, min_samples).tolist()


def test_places_are_numbered_by_their_first_stay():
    # home at 0 m, work at 1,000 m, shop at 5,000 m; visited shop, home, work, home, shop
    assert _clusters([5000, 0, 1000, 10, 5020], eps_m=50) == [0, 1, 2, 1, 0]


def test_a_chain_of_stays_is_one_place():
    # neighbours are 40 m apart, ends 160 m: density clustering joins the chain
    assert _clusters([0, 160, 40, 120, 80], eps_m=50) == [0, 0, 0, 0, 0]
    assert _clusters([0, 160, 40, 120], eps_m=50) == [0, 1, 0, 1]


def test_exactly_eps_apart_is_within():
    apart_m = haversine_m(0.0, 0.0, 0.001, 0.0)
    start, lon, lat = np.array([0, 2]), np.array([0.0, 0.001]), np.zeros(2)
    assert cluster_places(start, lon, lat, apart_m, 1).tolist() == [0, 0]
    assert cluster_places(start, lon, lat, np.nextafter(apart_m, 0), 1).tolist() == [0, 1]


def test_min_samples_counts_the_stay_itself():
    assert _clusters([0, 10, 500], eps_m=50, min_samples=2) == [0, 0, -1]
    assert _clusters([0, 10, 500], eps_m=50, min_samples=3) == [-1, -1, -1]
    assert _clusters([0, 0, 0, 500], eps_m=50, min_samples=3) == [0, 0, 0, -1]


def test_a_border_stay_joins_its_nearest_core_stay():
    # 0 m and 90 m are core (4 within 50 m); a stay between them reaches one of each side: with itself 3 < 4
    left, right = [-45, -45, -45, 0], [90, 135, 135, 135]
    stays = [*left, *right]
    assert _clusters([*stays, 46], eps_m=50, min_samples=4)[-1] == 1
    assert _clusters([*stays, 44], eps_m=50, min_samples=4)[-1] == 0
    # placed first in time it also gives its place the number 0
    assert _clusters([46, *stays], eps_m=50, min_samples=4) == [0, 1, 1, 1, 1, 0, 0, 0, 0]


def test_a_border_stay_between_two_places_joins_the_earlier():
    # 0.0005 degrees either side of longitude 0: two equal distances to the last digit
    lon = np.array([0.0009, 0.0009, 0.0009, 0.0005, -0.0005, -0.0009, -0.0009, -0.0009, 0.0])
    start, eps_m = np.array([0, 9]), 111194.92664455873 * 0.00055
    assert cluster_places(start, lon, np.zeros(9), eps_m, 4).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0]
    assert cluster_places(start, -lon, np.zeros(9), eps_m, 4).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0]


def test_across_the_antimeridian_and_over_the_pole():
    start = np.array([0, 2])
    assert cluster_places(start, np.array([179.9999, -179.9999]), np.zeros(2), 50, 1).tolist() == [0, 0]
    # 11 m from the pole on opposite sides
    assert cluster_places(start, np.array([0.0, 180.0]), np.full(2, 89.9999), 50, 1).tolist() == [0, 0]
    assert cluster_places(start, np.array([0.0, 137.0]), np.full(2, -90.0), 0.01, 1).tolist() == [0, 0]


def test_devices_do_not_share_places():
    start = np.array([0, 2, 2, 4])  # the second device has no stays
    zeros = np.zeros(4)
    assert cluster_places(start, zeros, zeros, 50, 1).tolist() == [0, 0, 0, 0]
    assert cluster_places(start, zeros, zeros, 50, 3).tolist() == [-1, -1, -1, -1]
    assert cluster_places(np.array([0]), np.empty(0), np.empty(0), 50, 1).size == 0


def test_half_the_earth_is_within_half_its_girth():
    lon, lat = np.array([0.0, 180.0, 90.0]), np.array([0.0, 0.0, 45.0])
    assert cluster_places(np.array([0, 3]), lon, lat, 2.1e7, 1).tolist() == [0, 0, 0]


def test_a_million_identical_stays_are_one_place():
    lon = np.full(1_000_000, 116.3)
    label = cluster_places(np.array([0, lon.size]), lon, np.full(lon.size, 39.9), 50, 5)
    assert label.min() == label.max() == 0


def test_refusals():
    start, xy = np.array([0, 2]), np.zeros(2)
    for eps_m in (0.0, -1.0, np.nan, 0.001):
        with pytest.raises(ValueError, match="eps_m"):
            cluster_places(start, xy, xy, eps_m, 1)
    with pytest.raises(ValueError, match="min_samples"):
        cluster_places(start, xy, xy, 50, 0)
    with pytest.raises(ValueError, match="finite"):
        cluster_places(start, xy, np.array([0.0, np.nan]), 50, 1)
    with pytest.raises(ValueError, match="cover"):
        cluster_places(np.array([0, 3]), xy, xy, 50, 1)


def test_members_are_regrouped_in_time_order_without_noise():
    members = members_by_place(np.array([0, 4, 6]), np.array([0, 1, 0, -1, 1, 0]))
    assert members.order.tolist() == [0, 2, 1, 5, 4]
    assert members.group_start.tolist() == [0, 2, 3, 4, 5]
    assert members.device.tolist() == [0, 0, 1, 1]
    assert members.label.tolist() == [0, 1, 0, 1]
    assert members_by_place(np.array([0, 1]), np.array([-1])).group_start.tolist() == [0]


def test_summary_of_two_places():
    # weights 3 and 1, 100 m apart: centre 25 m from the heavy stay, r^2 = (3 * 25^2 + 75^2) / 4 = 43.30^2
    lon = np.array([0.0, 100 * DEGREES_PER_M, 10.0])
    places = summarise_places(np.array([0, 2, 3, 3]), lon, np.zeros(3), np.array([3.0, 1.0, 7.0]))
    assert places.lon[:2] == pytest.approx([25 * DEGREES_PER_M, 10.0])
    assert places.lat[:2] == pytest.approx([0.0, 0.0])
    assert places.n_stays.tolist() == [2, 1, 0]
    assert places.weight.tolist() == [4.0, 7.0, 0.0]
    assert places.radius_m[:2] == pytest.approx([43.30127, 0.0], abs=1e-5)
    assert np.isnan([places.lon[2], places.lat[2], places.radius_m[2]]).all()
