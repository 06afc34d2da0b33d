"""Uniqueness kernels against their naive twins."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audit.groups import pair_sizes
from pipeline.kernels.uniqueness import fewest_with_points, index_points, n_points_to_be_alone
from tests.naive_uniqueness import naive_fewest, naive_pairs, naive_points_to_be_alone

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(-2, 6)), max_size=30)


def index_of(drawn):
    device, point = (np.array(column, np.int64) for column in (zip(*drawn, strict=True) if drawn else ((), ())))
    return index_points(device, point, 6)


def sets_of(drawn):
    return {device: {point for owner, point in drawn if owner == device} for device in range(6)}


@given(rows, st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_fewest_devices_are_those_of_the_twin(drawn, n_known):
    expected = naive_fewest(sets_of(drawn), n_known)
    assert fewest_with_points(*index_of(drawn), n_known).tolist() == list(expected.values())


@given(rows, st.integers(1, 5), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_points_needed_are_those_of_the_twin(drawn, max_points, chance):
    index, points = index_of(drawn), sets_of(drawn)
    orders, positions = {}, []
    for device, own in points.items():
        order = chance.sample(range(len(own)), len(own))
        orders[device] = [sorted(own)[at] for at in order]
        positions += order
    found = n_points_to_be_alone(*index, np.array(positions, np.int64), max_points)
    assert found.tolist() == list(naive_points_to_be_alone(points, orders, max_points).values())


@given(st.dictionaries(st.integers(1, 12), st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), max_size=12))
@settings(max_examples=50, deadline=None)
def test_pairs_of_home_and_work_are_those_of_the_twin(pairs):
    rows = [
        {"device_id": device, "span": "baseline", "role": role, "rank": 1, "tract_geoid": area}
        for device, pair in pairs.items()
        for role, area in zip(("home", "work"), pair, strict=True)
    ]
    names = ["device_id", "span", "role", "rank", "tract_geoid"]
    found = pair_sizes(pd.DataFrame(rows, columns=names), 3)
    n_devices, n_alone, n_few = naive_pairs(pairs, 3)
    assert found.n_devices == n_devices
    if n_devices:
        assert (found.share_alone, found.share_in_few) == (n_alone / n_devices, n_few / n_devices)
