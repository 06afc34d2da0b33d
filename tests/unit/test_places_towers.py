"""The two towers: losses by hand and against loops, histories, batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from pipeline.models.places.histories import Asked, histories_of, history_places, mean_vectors  # noqa: E402
from pipeline.models.places.interactions import Interactions, PlaceFeatures  # noqa: E402
from pipeline.models.places.params import PlaceModelParams, TowerParams  # noqa: E402
from pipeline.models.places.tower_recommenders import recent_pairs  # noqa: E402
from pipeline.models.places.tower_training import Pairs, TowerData, TowerLearner, pairs_of  # noqa: E402
from pipeline.models.places.towers import (  # noqa: E402
    PersonInputs,
    PlaceInputs,
    TowerShape,
    TwoTowers,
    literal_loss,
    sampled_softmax_loss,
)
from tests.naive_graph import naive_literal, naive_mean_vectors, naive_softmax  # noqa: E402

EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 50)), max_size=25)
DAY = 86_400


def interactions_of(events, is_weak=None):
    columns = [np.array(column, np.int64) for column in zip(*events, strict=True)] or [np.empty(0, np.int64)] * 3
    return Interactions(*columns, np.zeros(len(events), bool) if is_weak is None else is_weak, 3, 6)


@given(EVENTS, st.integers(0, 60), st.integers(1, 3), st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_means_are_of_the_places_visited_last(events, until, max_places, seed):
    vectors = np.random.default_rng(seed).normal(size=(6, 2)).astype(np.float32)
    group = np.array([0, 1, 0, 1, 0, 1], np.int8)
    days = [(person, place, time * DAY) for person, place, time in events]
    asked = Asked(np.arange(3), np.full(3, until * DAY))
    means, is_there = mean_vectors(histories_of(interactions_of(days)), asked, vectors, group, 2, 20.0, max_places)
    for person in range(3):
        expected = naive_mean_vectors(days, person, until * DAY, vectors, group, 2, 20 * DAY, max_places)
        for g in range(2):
            assert is_there[person, g] == (expected[g] is not None)
            assert means[person, g] == pytest.approx(expected[g] or [0.0, 0.0], abs=1e-5)


def test_places_of_a_history():
    events = [(0, 3, 5 * DAY), (0, 3, 6 * DAY), (0, 1, 9 * DAY), (2, 4, 8 * DAY)]
    asked = Asked(np.array([0, 1, 2, 0]), np.array([9, 9, 9, 10]) * DAY)
    row, place = history_places(histories_of(interactions_of(events)), asked, 4.0)
    # At day 10 the window of four days reaches back to day 6.
    assert list(zip(row.tolist(), place.tolist(), strict=True)) == [(0, 3), (2, 4), (3, 1), (3, 3)]


def drawn(seed, n=5, width=3):
    chance = np.random.default_rng(seed)
    vectors = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in chance.normal(size=(2, n, width))]
    numbers = chance.integers(0, 3, n)
    shares = np.array([0.5, 0.3, 0.2])[numbers]
    return *vectors, numbers, shares


@given(st.integers(0, 10_000), st.booleans())
@settings(deadline=None, max_examples=40)
def test_losses_are_those_of_the_loops(seed, is_corrected):
    persons, places, numbers, shares = drawn(seed)
    given_to = *map(torch.from_numpy, (persons, places, numbers, np.log(shares))), is_corrected
    literal = naive_literal(persons, places, numbers, shares, is_corrected)
    assert float(literal_loss(*given_to)) == pytest.approx(literal)
    softmax = naive_softmax(persons, places, numbers, shares, is_corrected, 0.5)
    assert float(sampled_softmax_loss(*given_to, 0.5)) == pytest.approx(softmax)


def test_losses_by_hand():
    """Two pairs: similarities 1 with the own place and 0 with the other."""
    vectors, numbers = torch.eye(2), torch.tensor([0, 1])
    log_share = torch.log(torch.tensor([0.8, 0.2]))
    assert float(literal_loss(vectors, vectors, numbers, log_share, True)) == pytest.approx(-1.0)
    # exp(1) / 0.8 against 1 / 0.2, and exp(1) / 0.2 against 1 / 0.8.
    e = np.e
    expected = (np.log(1 + 5 / (e / 0.8)) + np.log(1 + 1.25 / (e / 0.2))) / 2
    assert float(sampled_softmax_loss(vectors, vectors, numbers, log_share, True, 1.0)) == pytest.approx(expected)
    same_place = torch.tensor([1, 1])
    assert float(sampled_softmax_loss(vectors, vectors, same_place, log_share, True, 1.0)) == 0.0
    assert float(literal_loss(vectors, vectors, same_place, log_share, True)) == 0.0


def test_the_literal_loss_has_a_floor():
    """Vectors of length 1 keep it at -2 or above: without, it would fall for ever."""
    persons = torch.nn.functional.normalize(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    assert float(literal_loss(persons, persons, torch.arange(8), torch.zeros(8), False)) >= -2.0


SHAPE = TowerShape(2, 3, 4, True, 3, 3, 3)


def tower_data(n_folds=2):
    chance = np.random.default_rng(0)
    n_events = 60
    events = Interactions(
        chance.integers(0, 10, n_events),
        chance.integers(0, 8, n_events),
        np.sort(chance.integers(0, 80 * DAY, n_events)),
        chance.random(n_events) < 0.2,
        10,
        8,
    )
    features = PlaceFeatures(
        (np.arange(8) % 2).astype(np.int8),
        chance.normal(size=(8, 4)).astype(np.float32),
        (np.arange(8) % 3).astype(np.int32),
        np.full(8, 7, np.int32),
    )
    vectors = chance.normal(size=(n_folds, 8, 3)).astype(np.float32)
    fold = np.arange(10) % n_folds
    home_area = np.zeros(10, np.int32)
    return events, TowerData(histories_of(events), home_area, features, features.place_type, vectors, fold, 90.0)


def test_pairs_are_first_strong_visits():
    events = [(0, 1, 5), (0, 1, 3), (1, 1, 4), (0, 2, 1)]
    interactions = interactions_of(events, np.array([False, False, False, True]))
    assert [values.tolist() for values in pairs_of(interactions, True)] == [[0, 1], [1, 1], [3, 4]]
    assert [values.tolist() for values in pairs_of(interactions, False)] == [[0, 0, 1], [1, 1, 1], [3, 5, 4]]


def test_first_visits_are_those_of_a_long_record():
    """200 days, a window of 90: places known from before it are no first visits, and no target is in its history."""
    chance = np.random.default_rng(2)
    n = 400
    rows = chance.integers(0, 3, n), chance.integers(0, 150, n), chance.integers(0, 200, n) * DAY
    events = Interactions(*rows, np.zeros(n, bool), 3, 150)
    pairs = recent_pairs(events, PlaceModelParams())
    first = {}
    for person, place, time_s in sorted(zip(*(values.tolist() for values in rows), strict=True), key=lambda r: r[2]):
        first.setdefault((person, place), time_s)
    last = max(rows[2].tolist())
    expected = sorted((*pair, time_s) for pair, time_s in first.items() if time_s > last - 90 * DAY)
    assert sorted(zip(*(values.tolist() for values in pairs), strict=True)) == expected
    row, place = history_places(histories_of(events), Asked(pairs.person, pairs.time_s), 90.0)
    assert not (place == pairs.place[row]).any()
    # Every strong event of the window where first visits are not asked for.
    every = PlaceModelParams(towers=TowerParams(is_new_only=False))
    assert recent_pairs(events, every).place.size == (rows[2] > last - 90 * DAY).sum()
    assert recent_pairs(events.where(rows[2] < 0), every).place.size == 0


def test_batches_are_of_one_fold_and_cover_the_pairs():
    events, data = tower_data()
    pairs = pairs_of(events, True)
    params = TowerParams(widths=(8, 4), batch_size=8)
    learner = TowerLearner(TwoTowers(SHAPE, (8, 4), 2), data, SHAPE, pairs, params, 0, "test")
    batches = list(learner.batches(0))
    assert len(batches) == learner.n_batches
    assert sum(len(batch["place"]) for batch in batches) >= learner.learnt.size - 2
    for batch in batches:
        fits = [np.array_equal(batch["place_graph"], data.vectors[f][batch["place"]]) for f in range(2)]
        assert sum(fits) == 1
    # Area codes that were never learnt are those of no area.
    assert (batches[0]["place_area"] == 0).all()
    assert np.isfinite(learner.validate())


def test_a_history_ends_before_the_visit_it_is_to_foretell():
    events, data = tower_data(1)
    first = Pairs(*(values[:1] for values in pairs_of(events, True)))
    learner = TowerLearner(TwoTowers(SHAPE, (8, 4), 2), data, SHAPE, first, TowerParams(), 0, "test")
    batch = learner._batch(np.array([0]))
    assert (batch["has_graph_means"] == 0).all() and (batch["graph_means"] == 0).all() and (batch["history"] == 0).all()


def test_vectors_have_length_1():
    _, data = tower_data()
    network = TwoTowers(SHAPE, (8, 4), 2)
    learner = TowerLearner(network, data, SHAPE, pairs_of(tower_data()[0], True), TowerParams(), 0, "test")
    batch = learner._batch(np.flatnonzero(data.fold[learner.pairs.person] == 0)[:5])
    persons, places = network(
        PersonInputs(*(batch[name] for name in PersonInputs._fields)),
        PlaceInputs(*(batch[f"place_{name}"] for name in PlaceInputs._fields)),
    )
    for vectors in (persons, places):
        assert torch.linalg.vector_norm(vectors, dim=1).tolist() == pytest.approx([1.0] * 5, abs=1e-5)
    learner.loss(batch).backward()
    assert all(weight.grad is not None for name, weight in network.named_parameters())
