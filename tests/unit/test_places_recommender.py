"""Variants of the place recommender on planted groups: all of them learn, rows change nothing, ablations, texts."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pipeline.models.hashed_text import hash_texts  # noqa: E402
from pipeline.models.places.interactions import (  # noqa: E402
    Interactions,
    PersonFeatures,
    PlaceFeatures,
)
from pipeline.models.places.params import HgnnParams, PlaceModelParams, TowerParams  # noqa: E402
from pipeline.models.places.recommender import VARIANTS, fit_variant  # noqa: E402
from pipeline.models.places.text import embed_texts, place_texts  # noqa: E402
from pipeline.models.protocol import FitRun  # noqa: E402

N_PERSONS, N_PLACES, N_GROUPS, DAY = 48, 40, 4, 86_400
PARAMS = PlaceModelParams(
    text_width=8,
    hgnn=HgnnParams(width=16, max_epochs=4, batch_size=64, learning_rate=1e-2),
    towers=TowerParams(widths=(32, 16), code_width=4, max_epochs=6, batch_size=32, n_folds=2, learning_rate=5e-3),
)
RUN = FitRun(seed=0, device="cpu")


def planted(seed=0):
    """Persons go to six of the ten places of their group, some of them once: those are weak."""
    chance = np.random.default_rng(seed)
    rows = []
    for person in range(N_PERSONS):
        for place in chance.choice(10, 6, replace=False) * N_GROUPS + person % N_GROUPS:
            rows.append((person, place, chance.integers(0, 80 * DAY), chance.random() < 0.2))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    group = np.arange(N_PLACES) % N_GROUPS
    features = PlaceFeatures(
        (np.arange(N_PLACES) % 5 != 0).astype(np.int8),
        (np.eye(N_GROUPS)[group] + chance.normal(0, 0.5, (N_PLACES, N_GROUPS))).astype(np.float32),
        (np.arange(N_PLACES) % 3 + 1).astype(np.int32),
        (group + 1).astype(np.int32),
    )
    return Interactions(*columns, N_PERSONS, N_PLACES), features


def separation(scores, person_group):
    """Mean rank share of places of the own group less that of the others: 0 at random, 0.5 at best."""
    ranks = scores.argsort(axis=1).argsort(axis=1) / (scores.shape[1] - 1)
    is_own = (np.arange(scores.shape[1]) % N_GROUPS)[None, :] == person_group[:, None]
    return ranks[is_own].mean() - ranks[~is_own].mean()


@pytest.mark.parametrize(("variant", "has_learnt"), [("two_tower_hgnn", False), ("two_tower_hgnn_one_list", True)])
def test_towers_of_a_type_that_nobody_visited_have_learnt_nothing(variant, has_learnt):
    events, places = planted()
    common = events.where(places.place_type[events.place] == 1)
    assert fit_variant(variant, common, places, None, PARAMS, RUN).has_learnt is has_learnt


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_learns_and_serves(variant):
    events, places = planted()
    home = PersonFeatures((np.arange(N_PERSONS) % N_GROUPS + 1).astype(np.int32))
    fitted = fit_variant(variant, events, places, home, PARAMS, RUN)
    person_group = np.arange(N_PERSONS) % N_GROUPS
    scores = fitted.score(events, home)
    assert scores.shape == (N_PERSONS, N_PLACES) and scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert separation(scores, person_group) > 0.2
    # Persons never seen are served by their histories, and a person's row hangs on no other.
    some = events.where(events.person < 4)._replace(n_persons=4)
    now_s = int(events.time_s.max()) + 1
    own = fitted.score(some, PersonFeatures(home.home_area[:4]), now_s)
    assert own == pytest.approx(fitted.score(events, home, now_s)[:4], abs=1e-5)
    nobody = fitted.score(events.where(events.person < 0)._replace(n_persons=2))
    assert np.isfinite(nobody).all() and nobody[0] == pytest.approx(nobody[1], abs=1e-4)
    assert fitted.seconds > 0 and (fitted.n_links > 0) == (variant != "two_towers")
    assert fitted.n_links_in_all >= fitted.n_links
    assert fitted.n_steps == fitted.n_epochs * -(-fitted.n_links // PARAMS.hgnn.batch_size)


def test_the_order_of_events_changes_nothing():
    events, places = planted()
    order = np.random.default_rng(1).permutation(events.place.size)
    first, second = (fit_variant("two_tower_hgnn", e, places, None, PARAMS, RUN) for e in (events, events.where(order)))
    assert np.array_equal(first.score(events), second.score(events))


def test_a_type_weighs_by_its_share_of_the_history():
    """Scores of several pairs of towers are log probabilities: of a type they add to its share, smoothed."""
    events, places = planted()
    fitted = fit_variant("two_tower_hgnn", events, places, None, PARAMS, RUN)
    probability = np.exp(fitted.score(events).astype(float))
    is_rare = places.place_type == 0
    for person in range(N_PERSONS):
        been = set(events.place[events.person == person].tolist())
        n_rare = sum(bool(is_rare[place]) for place in been)
        share = (n_rare + 1) / (len(been) + 2)
        assert probability[person, is_rare].sum() == pytest.approx(share, abs=1e-4)
        assert probability[person, ~is_rare].sum() == pytest.approx(1 - share, abs=1e-4)


@pytest.mark.parametrize(
    "hgnn", [{"is_balanced": False}, {"dropped_relations": ((0, 0),)}, {"only_type": 0}, {"only_type": 1}]
)
def test_ablations(hgnn):
    events, places = planted()
    params = PARAMS.model_copy(update={"hgnn": PARAMS.hgnn.model_copy(update=hgnn | {"max_epochs": 1})})
    fitted = fit_variant("hgnn", events, places, None, params, RUN)
    assert np.isfinite(fitted.score(events)).all()


def test_weak_signals_count_or_not():
    events, places = planted()
    without = PARAMS.model_copy(update={"uses_weak_signals": False})
    fitted = fit_variant("hgnn", events, places, None, without, RUN)
    assert np.array_equal(fitted.score(events), fitted.score(events.strong()))
    assert not np.array_equal(
        *(fit_variant("hgnn", events, places, None, PARAMS, RUN).score(e) for e in (events, events.strong()))
    )


def test_persons_as_nodes_have_no_text(monkeypatch):
    """A mean of their places' texts would hold the place that a link asks for."""
    from pipeline.models.places import graph_recommenders

    events, places = planted()
    seen = []
    fit = graph_recommenders.fit_hgnn
    monkeypatch.setattr(
        graph_recommenders,
        "fit_hgnn",
        lambda links, types, features, *more: (seen.append(features), fit(links, types, features, *more))[1],
    )
    fit_variant("hgnn_with_users", events, places, None, PARAMS, RUN)
    assert seen[0].shape[0] == N_PLACES + N_PERSONS
    assert seen[0][:N_PLACES].any() and not seen[0][N_PLACES:].any()


def test_without_bound_an_epoch_has_all_links():
    events, places = planted()
    ask = {"is_balanced": False, "max_epochs": 1}
    bounded, whole = (
        fit_variant(
            "hgnn",
            events,
            places,
            None,
            PARAMS.model_copy(update={"hgnn": HgnnParams(**ask, max_links_per_epoch=n)}),
            RUN,
        )
        for n in (50, 0)
    )
    assert bounded.n_links == 50 < whole.n_links == whole.n_links_in_all == bounded.n_links_in_all


def test_friends_places_tell_towers_of_a_cold_person():
    events, places = planted()
    fitted = fit_variant("two_tower_hgnn", events, places, None, PARAMS, RUN)
    moment = int(events.time_s.max()) + 1
    own = events.person == 0
    n = int(own.sum())
    weak = Interactions(np.ones(n, int), events.place[own], events.time_s[own], np.ones(n, bool), 3, N_PLACES)
    scores = fitted.score(weak, now_s=moment)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[0], scores[2])  # of nobody known: the same list for all
    assert not np.array_equal(scores[0].argsort(), scores[1].argsort())


def test_what_does_not_fit_is_refused():
    events, places = planted()
    with pytest.raises(ValueError, match="no variant"):
        fit_variant("oracle", events, places, None, PARAMS, RUN)
    with pytest.raises(ValueError, match="not of 40 places"):
        fit_variant("hgnn", events, places._replace(area=places.area[:3]), None, PARAMS, RUN)


def test_texts_of_places():
    assert place_texts(["Blue Door", None], ["Food > Bar", None], [None, "Harlem"]) == [
        "Blue Door, Food, Bar",
        "Harlem",
    ]
    assert place_texts(None, ["Food"], None) == ["Food"]


def test_hashed_texts_that_share_words_are_near():
    vectors = hash_texts(["Italian restaurant", "restaurant, Italian", "Bus station", ""])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0])
    assert vectors[0] @ vectors[1] == pytest.approx(1.0)
    assert abs(vectors[0] @ vectors[2]) < 0.4
    assert np.array_equal(embed_texts(["Bus station"], "hashed")[0], vectors[2])
