"""Worked examples of places as communities. At the equator 0.001 degrees are 111.19 m."""

import numpy as np
import pytest

from pipeline.kernels.clustering import cluster_places
from pipeline.kernels.geodesy import haversine_m
from pipeline.kernels.map_equation import Network, codelength_bits, communities
from pipeline.kernels.place_network import network_places

DEGREES_PER_M = 0.001 / 111.19492664455873


def _places(metres_east, link_m=60.0, node_m=10.0, weight=None):
    lon = np.array(metres_east, float) * DEGREES_PER_M
    return network_places(np.array([0, lon.size]), lon, np.zeros(lon.size), weight, link_m, node_m).tolist()


def _linkage(lon, lat, eps_m=60.0):
    return cluster_places(np.array([0, lon.size]), lon, lat, eps_m, 1).tolist()


def _triangles(own=0.0):
    """Two triangles with a link between them, and links of weight `own` from every node to itself."""
    start = np.array([0, 2, 4, 7, 10, 12, 14])
    to = np.array([1, 2, 0, 2, 0, 1, 3, 2, 4, 5, 3, 5, 3, 4])
    outside = np.diff(start).astype(float)
    return Network(start, to, np.ones(14), outside + own, outside, 14 + 6 * own)


def _cloud(rng, n, east_m, spread_m=10.0):
    return east_m + rng.normal(0, spread_m, n), rng.normal(0, spread_m, n)


# --- The codelength, by hand -----------------------------------------------------------------------


def test_codelength_of_two_triangles():
    network = _triangles()
    # whole: nodes are visited 2, 2, 3, 3, 2, 2 of 14 times; 4 * 1/7 * log2(7) + 2 * 3/14 * log2(14/3)
    whole = 4 / 7 * np.log2(7) + 3 / 7 * np.log2(14 / 3)
    assert codelength_bits(network, np.zeros(6, np.int64)) == pytest.approx(whole)
    # each left 1 of 14 steps: modules are named 1/7 of the time, 1 bit each; within, of 8 names (leaving, 2, 2, 3),
    # 3/8 + 2 * 1/4 * 2 + 3/8 * log2(8/3) bits, twice 8/14 of the time
    two = 1 / 7 + 2 * 8 / 14 * (3 / 8 + 1 + 3 / 8 * np.log2(8 / 3))
    assert codelength_bits(network, np.array([0, 0, 0, 5, 5, 5])) == pytest.approx(two)
    assert two == pytest.approx(2.32073, abs=1e-5)  # as Infomap prints for this example
    assert communities(network).tolist() == [0, 0, 0, 1, 1, 1]


def test_links_to_itself_keep_the_walker_where_it_is():
    # nodes are visited 3, 3, 4, 4, 3, 3 of 20 times, each module left once; Infomap 2.16 says 2.1543973
    assert codelength_bits(_triangles(1.0), np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(2.1543972800683338)


def test_codelength_of_a_pair():
    pair = Network(np.array([0, 1, 2]), np.array([1, 0]), np.ones(2), np.full(2, 2.0), np.ones(2), 4.0)
    assert codelength_bits(pair, np.zeros(2, np.int64)) == pytest.approx(1.0)
    # apart: half the steps name a module (1 bit); 3/4 of the time one of (leaving 1, visit 2) of 3, in each
    third = np.log2(3) / 3 + 2 / 3 * np.log2(1.5)
    assert codelength_bits(pair, np.array([0, 1])) == pytest.approx(0.5 + 2 * 0.75 * third)
    assert communities(pair).tolist() == [0, 0]


# --- Places ----------------------------------------------------------------------------------------


def test_places_are_numbered_by_their_first_stay():
    # home at 0 m, work at 1,000 m, shop at 5,000 m; visited shop, home, work, home, shop
    assert _places([5000, 0, 1000, 30, 5040]) == [0, 1, 2, 1, 0]


def test_exactly_link_m_apart_is_linked():
    apart_m = haversine_m(0.0, 0.0, 0.001, 0.0)
    start, lon, lat = np.array([0, 2]), np.array([0.0, 0.001]), np.zeros(2)
    assert network_places(start, lon, lat, None, apart_m, 1.0).tolist() == [0, 0]
    assert network_places(start, lon, lat, None, np.nextafter(apart_m, 0), 1.0).tolist() == [0, 1]


def test_a_chain_is_cut_where_single_linkage_makes_it_one_place():
    chain = np.arange(0, 1001, 50)  # 21 stays over a kilometre, each within reach of the next only
    assert _linkage(chain * DEGREES_PER_M, np.zeros(21)) == [0] * 21
    sizes = np.bincount(_places(chain))
    assert sizes.max() <= 5 and sizes.size >= 5
    # pieces follow each other along the chain
    assert (np.diff(_places(chain)) >= 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_two_clouds_with_a_stay_between_them_are_two_places(seed):
    rng = np.random.default_rng(seed)
    (east1, north1), (east2, north2) = _cloud(rng, 40, 0.0), _cloud(rng, 40, 80.0)
    lon = np.concatenate([east1, [40.0], east2]) * DEGREES_PER_M
    lat = np.concatenate([north1, [0.0], north2]) * DEGREES_PER_M
    assert set(_linkage(lon, lat)) == {0}
    label = network_places(np.array([0, 81]), lon, lat, None, 60.0, 10.0)
    assert set(label[:40]) == {0} and len(set(label[41:])) == 1 and label[41] != 0


def test_a_stay_between_two_places_joins_the_heavier():
    between = [0, 0, 100, 100, 50]
    assert _places(between, weight=np.array([3.0, 3, 1, 1, 1])) == [0, 0, 1, 1, 0]
    assert _places(between, weight=np.array([1.0, 1, 3, 3, 1])) == [0, 0, 1, 1, 1]


def test_positions_near_each_other_are_one_node():
    # 0, 9 and 18 m with nodes of 10 m: nodes at 0 and 18 m, and the stay at 9 m belongs to the earlier
    # what is 65 m from the first stay of a node is not linked with it, though 56 m from a stay in it
    assert _places([0, 9, 65]) == [0, 0, 1]
    assert _places([0, 9, 65], node_m=1.0) == [0, 0, 0]
    assert _places([9, 0, 65]) == [0, 0, 0]


def test_across_the_antimeridian_and_over_the_pole():
    start = np.array([0, 2])
    assert network_places(start, np.array([179.9999, -179.9999]), np.zeros(2)).tolist() == [0, 0]
    # 22 m from the pole on opposite sides
    assert network_places(start, np.array([0.0, 180.0]), np.full(2, 89.9998)).tolist() == [0, 0]
    assert network_places(start, np.array([0.0, 137.0]), np.full(2, -90.0), None, 0.01, 0.01).tolist() == [0, 0]


def test_devices_do_not_share_places():
    start = np.array([0, 2, 2, 4])  # the second device has no stays
    assert network_places(start, np.array([0.0, 1.0, 1.0, 0.0]), np.zeros(4)).tolist() == [0, 1, 0, 1]
    assert network_places(np.array([0]), np.empty(0), np.empty(0)).size == 0


def test_half_the_earth_is_within_half_its_girth():
    lon, lat = np.array([0.0, 180.0, 90.0]), np.array([0.0, 0.0, 45.0])
    assert network_places(np.array([0, 3]), lon, lat, None, 2.1e7).tolist() == [0, 0, 0]


def test_a_million_stays_at_one_spot_are_one_place():
    n = 1_000_000
    same = network_places(np.array([0, n]), np.full(n, 116.3), np.full(n, 39.9), None, 60.0, 0.01)
    assert same.min() == same.max() == 0
    east, north = _cloud(np.random.default_rng(0), n, 0.0, 15.0)
    label = network_places(np.array([0, n]), east * DEGREES_PER_M, north * DEGREES_PER_M)
    assert (label == 0).mean() > 0.999


def test_refusals():
    start, xy = np.array([0, 2]), np.zeros(2)
    for link_m, node_m in ((60.0, 0.0), (60.0, np.nan), (np.nan, 10.0), (5.0, 10.0), (-1.0, -2.0)):
        with pytest.raises(ValueError, match="node_m"):
            network_places(start, xy, xy, None, link_m, node_m)
    with pytest.raises(ValueError, match="finite"):
        network_places(start, xy, np.array([0.0, np.nan]))
    for weight in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="weights"):
            network_places(start, xy, xy, np.array([1.0, weight]))
    for weight, rows in ((np.ones(3), start), (None, np.array([0, 3]))):
        with pytest.raises(ValueError, match="cover"):
            network_places(rows, xy, xy, weight)
