"""Simple rules: worked examples, the slow way, and what they choose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.recommendation.methods import RULES, choose_setting
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.simple_rules import Nearby, OwnHistory, Popularity, TextKnn, chords_m
from tests import naive_recommend as naive
from tests.check_in_rows import make_check_ins, make_data, split_data

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 200)), min_size=1, max_size=40)


def test_popularity_counts_people():
    data = make_data([(0, 1, 100), (0, 1, 101), (1, 2, 100), (2, 2, 150)], n_places=3)
    assert Popularity(data).scores(np.array([0, 1])).tolist() == [[0, 1, 2], [0, 1, 2]]


@settings(max_examples=30, deadline=None)
@given(rows=EVENTS)
def test_popularity_is_that_of_the_slow_way(rows):
    data = make_data(sorted(set(rows)), n_places=6, n_people=4)
    assert Popularity(data).scores(np.array([0]))[0].tolist() == naive.popularity(rows, 6, 0)


def test_own_history_is_by_visits_then_by_the_latest():
    data = make_data([(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 0, 4)], n_places=4, n_people=2)
    scores = OwnHistory(data).scores(np.array([0, 1]))
    assert np.argsort(-scores[0]).tolist() == [0, 2, 1, 3]
    assert np.isnan(scores[1]).all()


def test_text_knn_likes_what_is_like_the_mean():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)
    scores = TextKnn(make_data([(0, 0, 1), (0, 0, 2)], vectors, n_places=4)).scores(np.array([0]))
    assert scores[0].tolist() == pytest.approx([1, 0, 0.6, 0])
    both = TextKnn(make_data([(0, 0, 1), (0, 0, 2), (0, 1, 3)], vectors, n_places=4)).scores(np.array([0]))
    assert both[0].tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 1.4 * 0.5**0.5, 0])  # each place once


POSITIONS = [(-74.0, 40.7), (-74.0, 40.71), (-73.9, 40.8), (179.9995, 0.0), (-179.9995, 0.0), (0.0, 90.0)]


@settings(max_examples=20, deadline=None)
@given(rows=EVENTS)
def test_nearness_is_that_of_the_slow_way(rows):
    rows = sorted(set(rows))
    lon, lat = zip(*POSITIONS, strict=True)
    data = make_data(rows, n_places=6, n_people=4, lon=list(lon), lat=list(lat))
    person = rows[0][0]
    expected = naive.nearby_scores(rows, person, POSITIONS, 1_000.0)
    assert Nearby(data, 1_000.0).scores(np.array([person]))[0] == pytest.approx(expected, rel=1e-3, abs=1e-12)


def test_places_without_a_position_are_near_to_nothing():
    data = make_data([(0, 0, 1), (0, 1, 1)], lon=[0.0, np.nan, 0.0], lat=[0.0, np.nan, 0.01], n_places=3)
    scores = Nearby(data, 1_000.0).scores(np.array([0]))[0]
    assert scores[1] == 0 and scores[0] == pytest.approx(1) and scores[2] == pytest.approx(np.exp(-1.112), rel=1e-3)
    popular = Nearby(data, 1_000.0, is_popular=True).scores(np.array([0]))[0]
    assert popular.tolist() == pytest.approx([1, 0, 0])


def test_chords_are_distances():
    assert chords_m(np.array([[1.0, 0, 0]]), np.array([[1.0, 0, 0], [-1.0, 0, 0]])).tolist() == [[0, 2 * 6_371_000]]


@pytest.fixture(scope="module")
def implicit_module():
    return pytest.importorskip("implicit", reason="implicit is not installed")


@settings(max_examples=20, deadline=None)
@given(rows=EVENTS)
def test_item_knn_is_that_of_the_slow_way(implicit_module, rows):
    rows = sorted(set(rows))
    method = RULES["item_knn"].make(make_data(rows, n_places=6, n_people=4), 10, 0)
    for person in {who for who, *_ in rows}:
        expected = naive.item_knn_scores(rows, person, 6)
        assert method.scores(np.array([person]))[0] == pytest.approx(expected, abs=1e-6)


def communities(n_people=60, n_places=40, seed=0):
    """Check-ins of people of four communities, who visit places of their own one by one."""
    random = np.random.default_rng(seed)
    rows = []
    for person in range(n_people):
        own = np.arange(person % 4, n_places, 4)
        for k, place in enumerate(random.permutation(own)):
            rows.append((person, int(place), 4 * k + float(random.random())))
    return rows


@pytest.mark.parametrize("name", ["item_knn", "ials"])
def test_communities_are_found(implicit_module, name):
    data = split_data(make_check_ins(communities()))
    rule = RULES[name]
    setting = choose_setting(rule, data)
    assert setting in rule.settings(data.params)
    method = rule.make(data, setting, 0)
    scores = method.scores(np.arange(60))
    own = np.arange(40)[None, :] % 4 == np.arange(60)[:, None] % 4
    visited = data.visited().toarray() > 0
    best = np.where(visited, -np.inf, scores).argmax(axis=1)
    assert own[np.arange(60), best].mean() > 0.95


def test_ials_is_the_same_for_a_seed(implicit_module):
    data = split_data(make_check_ins(communities()))
    one, same, other = (RULES["ials"].make(data, (8, 0.1, 10.0), seed).scores(np.arange(5)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_setting_is_chosen_on_training_alone():
    """In training people walk to the next place, in the hold-out far away: the choice must not know of that."""
    rows = [(p, (p + d) % 20, d) for p in range(20) for d in range(40)]
    lon, lat = [0.001 * k for k in range(60)], [0.0] * 60
    far = [(p, 40 + p % 20, 50) for p in range(20)]
    params = RecommendParams(nearby_m=(50.0, 5_000.0))
    ends = [[(0, 22, 50)], [(0, 22, 50), *far[1:]]]
    fields = {"lon": lon, "lat": lat, "n_places": 60, "told": range(60)}
    found = [split_data(make_check_ins(rows + end, **fields), params) for end in ends]
    chosen = [choose_setting(RULES["nearby"], data) for data in found]
    assert chosen[0] == chosen[1]
