"""Place clustering against its naive twin, scikit-learn and its own invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.clustering import cluster_places, members_by_place, summarise_places
from pipeline.kernels.geodesy import haversine_m
from tests.naive import naive_cluster_places, naive_mean_position

# Where stays are strewn: an ordinary city, the antimeridian, both poles, the origin.
CENTRES = [(116.3, 39.9), (180.0, -17.0), (20.0, 90.0), (-70.0, -90.0), (0.0, 0.0)]


@st.composite
def stays(draw, max_stays=40):
    """Positions on a lattice of about 11 m, so that exact repeats and exactly equal distances are common."""
    lon0, lat0 = draw(st.sampled_from(CENTRES))
    n = draw(st.integers(1, max_stays))
    steps = draw(st.lists(st.tuples(st.integers(-15, 15), st.integers(-15, 15)), min_size=n, max_size=n))
    east, north = np.array(steps, float).T * 1e-4
    if abs(lat0) == 90.0:  # round the pole: one axis turns, the other walks away from it
        return (lon0 + east * 1e5 + 180) % 360 - 180, lat0 - np.sign(lat0) * abs(north)
    return (lon0 + east + 180) % 360 - 180, lat0 + north


eps_values = st.sampled_from([5.0, 11.2, 30.0, 65.0, 150.0, 1000.0])
sample_counts = st.integers(1, 6)


def _cluster(lon, lat, eps_m, min_samples):
    return cluster_places(np.array([0, lon.size]), lon, lat, eps_m, min_samples)


def _partition(labels):
    """Labels renumbered by first appearance, noise kept: equal for equal partitions."""
    seen = {}
    return [-1 if label < 0 else seen.setdefault(label, len(seen)) for label in labels.tolist()]


@given(stays(), eps_values, sample_counts)
@settings(max_examples=150, deadline=None)
def test_equal_to_the_naive_twin(positions, eps_m, min_samples):
    lon, lat = positions
    expected = naive_cluster_places(lon.tolist(), lat.tolist(), eps_m, min_samples)
    assert _cluster(lon, lat, eps_m, min_samples).tolist() == expected


@given(st.integers(0, 2**32 - 1), st.sampled_from(CENTRES), eps_values, sample_counts)
@settings(max_examples=80, deadline=None)
def test_core_points_and_noise_equal_scikit_learn(seed, centre, eps_m, min_samples):
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is a development dependency")
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 200))
    lon = (centre[0] + rng.normal(0, 2e-3, n) * (1e4 if abs(centre[1]) == 90 else 1) + 180) % 360 - 180
    lat = np.clip(centre[1] + rng.normal(0, 2e-3, n), -90, 90)
    peer = cluster.DBSCAN(
        eps=eps_m / 6_371_000, min_samples=min_samples, metric="haversine", algorithm="ball_tree"
    ).fit(np.radians(np.column_stack([lat, lon])))
    ours, core = _cluster(lon, lat, eps_m, min_samples), peer.core_sample_indices_
    assert _partition(ours[core]) == _partition(peer.labels_[core])
    assert ((ours == -1) == (peer.labels_ == -1)).all()
    if min_samples == 1:
        assert ours.tolist() == peer.labels_.tolist()


@given(stays(), eps_values, sample_counts, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_of_stays_changes_numbers_but_not_who_is_together(positions, eps_m, min_samples, random):
    lon, lat = positions
    shuffled = list(range(lon.size))
    random.shuffle(shuffled)
    ours = _cluster(lon, lat, eps_m, 1)
    assert _partition(ours[shuffled]) == _cluster(lon[shuffled], lat[shuffled], eps_m, 1).tolist()
    is_noise = _cluster(lon, lat, eps_m, min_samples) == -1
    assert (is_noise[shuffled] == (_cluster(lon[shuffled], lat[shuffled], eps_m, min_samples) == -1)).all()


@given(stays(20), eps_values, sample_counts)
@settings(max_examples=60, deadline=None)
def test_numbers_follow_time_and_repeats_join_their_twin(positions, eps_m, min_samples):
    lon, lat = np.tile(positions[0], 2), np.tile(positions[1], 2)
    label = _cluster(lon, lat, eps_m, min_samples)
    assert label.tolist() == _partition(label)
    assert (label[: lon.size // 2] == label[lon.size // 2 :]).all()


@given(st.lists(stays(15), min_size=1, max_size=4), eps_values, sample_counts)
@settings(max_examples=50, deadline=None)
def test_devices_are_clustered_apart(devices, eps_m, min_samples):
    start = np.cumsum([0] + [lon.size for lon, _ in devices])
    lon, lat = (np.concatenate([device[axis] for device in devices]) for axis in (0, 1))
    apart = [_cluster(*device, eps_m, min_samples) for device in devices]
    assert cluster_places(start, lon, lat, eps_m, min_samples).tolist() == np.concatenate(apart).tolist()


@given(stays(), eps_values, sample_counts, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_summaries_account_for_every_clustered_stay(positions, eps_m, min_samples, seed):
    lon, lat = positions
    start = np.array([0, lon.size])
    weight = np.random.default_rng(seed).integers(1, 50, lon.size).astype(float)
    label = cluster_places(start, lon, lat, eps_m, min_samples)
    members = members_by_place(start, label)
    order, group_start = members.order, members.group_start
    places = summarise_places(group_start, lon[order], lat[order], weight[order])
    assert members.label.tolist() == list(range(label.max() + 1))
    assert places.n_stays.sum() == (label >= 0).sum()
    for g in range(members.label.size):
        rows = order[group_start[g] : group_start[g + 1]]
        assert rows.tolist() == np.flatnonzero(label == members.label[g]).tolist()
        centre = naive_mean_position(lon[rows].tolist(), lat[rows].tolist(), weight[rows].tolist())
        assert haversine_m(*centre, places.lon[g], places.lat[g]) < 1e-6
        assert places.weight[g] == weight[rows].sum()
        apart_m = [haversine_m(*centre, x, y) for x, y in zip(lon[rows], lat[rows], strict=True)]
        assert places.radius_m[g] == pytest.approx(
            np.sqrt(np.average(np.square(apart_m), weights=weight[rows])), rel=1e-7, abs=1e-5
        )
