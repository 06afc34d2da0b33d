"""Places of a network of stays against their naive twin and their own invariances."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.clustering import cluster_places
from pipeline.kernels.geodesy import haversine_m
from pipeline.kernels.map_equation import Network, codelength_bits, communities
from pipeline.kernels.place_network import network_places
from tests.naive_network import (
    entropy_bits,
    naive_codelength_bits,
    naive_communities,
    naive_components,
    naive_network,
    naive_network_places,
)

# Where stays are strewn: an ordinary city, the antimeridian, both poles, the origin.
CENTRES = [(116.3, 39.9), (180.0, -17.0), (20.0, 90.0), (-70.0, -90.0), (0.0, 0.0)]


@st.composite
def stays(draw, max_stays=16, reach=8, centres=CENTRES):
    """Positions on a lattice of about 11 m, so that exact repeats and exactly equal distances are common."""
    lon0, lat0 = draw(st.sampled_from(centres))
    n = draw(st.integers(1, max_stays))
    step = st.integers(-reach, reach)
    steps = draw(st.lists(st.tuples(step, step), min_size=n, max_size=n))
    east, north = np.array(steps, float).T * 1e-4
    if abs(lat0) == 90.0:  # round the pole: one axis turns, the other walks away from it
        return (lon0 + east * 1e5 + 180) % 360 - 180, lat0 - np.sign(lat0) * abs(north)
    return (lon0 + east + 180) % 360 - 180, lat0 + north


@st.composite
def links(draw, max_nodes=9):
    """Symmetric matrices of small whole weights, so that equal savings are common; networks may fall apart."""
    n = draw(st.integers(1, max_nodes))
    weight = draw(st.lists(st.sampled_from([0, 0, 1, 1, 2, 5]), min_size=n * n, max_size=n * n))
    upper = np.triu(np.array(weight, float).reshape(n, n))
    return upper + np.triu(upper, 1).T + np.eye(n)


reaches = st.sampled_from([(25.0, 0.01), (40.0, 12.0), (60.0, 10.0), (60.0, 25.0), (120.0, 11.2)])
random_seeds = st.integers(0, 2**32 - 1)


def _places(lon, lat, weight, reach):
    return network_places(np.array([0, lon.size]), lon, lat, weight, *reach)


def _weights(seed, n):
    return np.random.default_rng(seed).integers(1, 6, n).astype(float)


def _partition(labels):
    seen = {}
    return [seen.setdefault(label, len(seen)) for label in labels.tolist()]


def _network(link):
    """The kernel's network of a matrix of link weights."""
    others = [[b for b in range(len(link)) if b != a and link[a][b] > 0] for a in range(len(link))]
    start = np.cumsum([0] + [len(row) for row in others])
    to = np.array([b for row in others for b in row], np.int64)
    strength = link.sum(1)
    weight = link[np.repeat(np.arange(len(link)), np.diff(start)), to]
    return Network(start, to, weight, strength, strength - np.diag(link), strength.sum())


def _modules(label):
    return [np.flatnonzero(label == m).tolist() for m in np.unique(label)]


@given(links(), st.data())
@settings(max_examples=150, deadline=None)
def test_codelength_is_the_sum_of_entropies(link, data):
    n = len(link)
    module = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n)))
    expected = naive_codelength_bits(_modules(module), link.tolist())
    assert abs(codelength_bits(_network(link), module) - expected) < 1e-9


@given(links())
@settings(max_examples=200, deadline=None)
def test_communities_equal_the_naive_twin(link):
    assert communities(_network(link)).tolist() == naive_communities(link.tolist())


@given(links())
@settings(max_examples=80, deadline=None)
def test_communities_are_no_longer_than_the_whole_or_single_nodes(link):
    network = _network(link)
    found, whole, single = communities(network), np.zeros(len(link), np.int64), np.arange(len(link))
    bits = codelength_bits(network, found)
    assert bits <= codelength_bits(network, whole) + 1e-9
    assert bits <= codelength_bits(network, single) + 1e-9
    assert abs(codelength_bits(network, whole) - entropy_bits(link.sum(1).tolist())) < 1e-9


@given(st.lists(st.integers(1, 50), min_size=2, max_size=8), st.data())
@settings(max_examples=80, deadline=None)
def test_where_all_are_linked_nothing_beats_one_module(mass, data):
    n = len(mass)
    network = _network(np.outer(mass, mass).astype(float))
    module = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n)))
    assert codelength_bits(network, np.zeros(n, np.int64)) <= codelength_bits(network, module) + 1e-9
    assert communities(network).tolist() == [0] * n


@given(stays(), reaches, random_seeds)
@settings(max_examples=150, deadline=None)
def test_places_equal_the_naive_twin(positions, reach, seed):
    lon, lat = positions
    weight = _weights(seed, lon.size)
    expected = naive_network_places(lon.tolist(), lat.tolist(), weight.tolist(), *reach)
    assert _places(lon, lat, weight, reach).tolist() == expected


@given(stays(60), reaches, random_seeds)
@settings(max_examples=60, deadline=None)
def test_places_tell_the_walk_no_longer_than_components_or_single_nodes(positions, reach, seed):
    lon, lat = positions
    weight = _weights(seed, lon.size)
    label = _places(lon, lat, weight, reach)
    node_of, link = naive_network(lon.tolist(), lat.tolist(), weight.tolist(), *reach)
    place = dict(zip(node_of, label.tolist(), strict=True))
    for nodes in naive_components(link):
        part = [[link[a][b] for b in nodes] for a in nodes]
        found = naive_codelength_bits(_modules(np.array([place[a] for a in nodes])), part)
        assert found <= naive_codelength_bits([list(range(len(nodes)))], part) + 1e-9
        assert found <= naive_codelength_bits([[a] for a in range(len(nodes))], part) + 1e-9


@given(stays(60), reaches, random_seeds)
@settings(max_examples=80, deadline=None)
def test_places_lie_within_single_linkage(positions, reach, seed):
    """A stay is at most node_m from the first of its node, so that steps within a place are short."""
    lon, lat = positions
    label = _places(lon, lat, _weights(seed, lon.size), reach)
    link_m, node_m = reach
    linkage = cluster_places(np.array([0, lon.size]), lon, lat, link_m + 2 * node_m, 1)
    assert all(np.unique(linkage[label == place]).size == 1 for place in range(label.max() + 1))


@given(stays(), stays(), reaches, random_seeds)
@settings(max_examples=60, deadline=None)
def test_what_is_far_away_changes_nothing(here, there, reach, seed):
    lon, lat = np.append(here[0], there[0]), np.append(here[1], -there[1] / 2)
    if haversine_m(lon[0], lat[0], lon[-1], lat[-1]) < 1e5:
        return
    weight, n = _weights(seed, lon.size), here[0].size
    together = _places(lon, lat, weight, reach)
    assert together[:n].tolist() == _places(lon[:n], lat[:n], weight[:n], reach).tolist()
    alone = _places(lon[n:], lat[n:], weight[n:], reach)
    assert together[n:].tolist() == (alone + together[:n].max() + 1).tolist()


@given(stays(20), reaches, random_seeds, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_repeats_join_their_twin_and_numbers_follow_time(positions, reach, seed, random):
    rows = list(range(positions[0].size)) * 2
    random.shuffle(rows)
    lon, lat = (axis[rows] for axis in positions)
    label = _places(lon, lat, _weights(seed, lon.size), reach)
    assert label.tolist() == _partition(label)
    by_position = {}
    assert all(by_position.setdefault(row, place) == place for row, place in zip(rows, label.tolist(), strict=True))


@given(stays(20), reaches, st.integers(1, 5), random_seeds)
@settings(max_examples=60, deadline=None)
def test_a_weight_is_as_many_stays_at_once(positions, reach, times, seed):
    lon, lat = positions
    weight = _weights(seed, lon.size).astype(int)
    repeated = _places(np.repeat(lon, weight), np.repeat(lat, weight), np.ones(weight.sum()), reach)
    once = _places(lon, lat, weight.astype(float), reach)
    assert repeated[np.cumsum(weight) - 1].tolist() == once.tolist()
    # what all weigh together does not matter
    assert once.tolist() == _places(lon, lat, weight * float(times), reach).tolist()


# Reaches no two points of the lattice are apart by, so that turning the Earth decides no link otherwise.
turned_reaches = st.sampled_from([(27.3, 0.01), (41.9, 13.7), (61.3, 9.1), (121.7, 13.7)])


@given(stays(25, centres=[(116.3, 0.0), (180.0, 0.0), (0.0, 0.0)]), turned_reaches, random_seeds)
@settings(max_examples=80, deadline=None)
def test_turning_the_earth_changes_nothing(positions, reach, seed):
    lon, lat = positions
    weight, turn = _weights(seed, lon.size), np.random.default_rng(seed).uniform(-180, 180)
    turned = (lon + turn + 180) % 360 - 180
    assert _places(turned, lat, weight, reach).tolist() == _places(lon, lat, weight, reach).tolist()
    assert _places(-lon, -lat, weight, reach).tolist() == _places(lon, lat, weight, reach).tolist()


@given(st.lists(stays(15), min_size=1, max_size=4), reaches, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_devices_have_places_of_their_own_in_any_order(devices, reach, random):
    random.shuffle(devices)
    start = np.cumsum([0] + [lon.size for lon, _ in devices])
    lon, lat = (np.concatenate([device[axis] for device in devices]) for axis in (0, 1))
    apart = [_places(*device, np.ones(device[0].size), reach) for device in devices]
    assert network_places(start, lon, lat, None, *reach).tolist() == np.concatenate(apart).tolist()
