"""Entropy and capacity against their naive twins and their own invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.capacity import count_familiar
from pipeline.kernels.entropy import location_entropy
from tests.naive_entropy import naive_capacity, naive_entropy_bits

seeds = st.integers(0, 2**32 - 1)


@st.composite
def groups(draw):
    """Rows of one to four groups (some empty) as (group_start, place, weight)."""
    rng = np.random.default_rng(draw(seeds))
    sizes = draw(st.lists(st.integers(0, 12), min_size=1, max_size=4))
    n = sum(sizes)
    weight = rng.integers(0, 9, n) * draw(st.sampled_from([1.0, 1e-9, 86_400.5]))
    return np.cumsum([0, *sizes]), rng.integers(-2, 4, n) * draw(st.sampled_from([1, 10**15])), weight


def rows_of(start, g):
    return slice(start[g], start[g + 1])


@given(groups(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_entropy_equals_the_naive_twin(rows, is_weighted):
    start, place, weight = rows
    found = location_entropy(start, place, weight if is_weighted else None)
    for g in range(start.size - 1):
        k = rows_of(start, g)
        weights = weight[k].tolist() if is_weighted else [1] * place[k].size
        expected = naive_entropy_bits(place[k].tolist(), weights)
        assert found[g] == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)


@given(groups())
@settings(max_examples=80, deadline=None)
def test_entropy_is_between_one_place_and_equal_places(rows):
    start, place, weight = rows
    found = location_entropy(start, place, weight)
    for g in range(start.size - 1):
        k = rows_of(start, g)
        n_places = np.unique(place[k][weight[k] > 0]).size
        assert np.isnan(found[g]) if n_places == 0 else 0 <= found[g] <= np.log2(n_places) + 1e-12
        assert n_places != 1 or found[g] == 0


@given(groups(), st.floats(0.001, 1000))
@settings(max_examples=80, deadline=None)
def test_entropy_ignores_order_names_and_scale(rows, scale):
    start, place, weight = rows
    found = location_entropy(start, place, weight)
    backwards = location_entropy(place.size - start[::-1], place[::-1].copy(), weight[::-1].copy())[::-1]
    for other in (
        backwards,
        location_entropy(start, 7 - place, weight),
        location_entropy(start, place, weight * scale),
    ):
        np.testing.assert_allclose(other, found, rtol=1e-9, atol=1e-12)


@given(groups())
@settings(max_examples=80, deadline=None)
def test_a_visit_cut_in_two_changes_no_entropy_by_dwell(rows):
    start, place, weight = rows
    halves = location_entropy(2 * start, np.repeat(place, 2), np.repeat(weight / 2, 2))
    np.testing.assert_allclose(halves, location_entropy(start, place, weight), rtol=1e-9, atol=1e-12)


@st.composite
def visits(draw):
    """Visits of one to three devices as (device_start, location, week, dwell_us)."""
    rng = np.random.default_rng(draw(seeds))
    sizes = draw(st.lists(st.integers(0, 25), min_size=1, max_size=3))
    week = [np.sort(rng.integers(-4, 8, size)) for size in sizes]
    n = sum(sizes)
    start, location = np.cumsum([0, *sizes]), rng.integers(0, 5, n)
    return start, location, np.concatenate(week).astype(np.int64), rng.integers(0, 20, n)


rules = st.tuples(st.integers(1, 12), st.integers(0, 3), st.integers(0, 12), st.booleans())


@given(visits(), rules)
@settings(max_examples=200, deadline=None)
def test_capacity_equals_the_naive_twin(rows, rule):
    start, location, week, dwell = rows
    found = count_familiar(start, location, week, dwell, *rule)
    for device in range(start.size - 1):
        k, here = rows_of(start, device), found.device == device
        expected = naive_capacity(list(zip(week[k], location[k], dwell[k], strict=True)), *rule)
        ours = zip(found.week[here], found.n_familiar[here], found.n_added[here], found.n_dropped[here], strict=True)
        assert list(ours) == expected


@given(visits(), rules)
@settings(max_examples=80, deadline=None)
def test_familiar_is_the_running_sum_of_what_changed(rows, rule):
    start, location, week, dwell = rows
    found = count_familiar(start, location, week, dwell, *rule)
    for device in range(start.size - 1):
        here = found.device == device
        assert (np.cumsum(found.n_added[here] - found.n_dropped[here]) == found.n_familiar[here]).all()
        n_locations = np.unique(location[start[device] : start[device + 1]]).size
        assert (found.n_familiar[here] <= n_locations).all()


@given(visits(), rules, st.integers(-1000, 1000))
@settings(max_examples=80, deadline=None)
def test_capacity_ignores_names_and_when(rows, rule, shift):
    start, location, week, dwell = rows
    found = count_familiar(start, location, week, dwell, *rule)
    moved = count_familiar(start, 99 - location, week + shift, dwell, *rule)
    for name in ("device", "n_familiar", "n_added", "n_dropped"):
        assert (getattr(moved, name) == getattr(found, name)).all()
    assert (moved.week == found.week + shift).all()
