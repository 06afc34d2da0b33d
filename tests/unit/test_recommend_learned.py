"""What the place models are handed by the evaluation; nothing is trained here."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.evaluation.recommendation.learned import (
    ABLATIONS,
    MODELS,
    Learned,
    ModelVariant,
    count_signals,
    events_of,
    features_of,
    now_s,
    with_changes,
    with_whole_window,
)
from pipeline.evaluation.recommendation.orderings import CLAIMS
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.run import known_methods
from pipeline.evaluation.recommendation.same_arms import why_equal
from pipeline.evaluation.recommendation.shared_graphs import SharedGraphs
from pipeline.models.places.params import PlaceModelParams
from pipeline.models.protocol import FitRun
from tests.check_in_rows import make_check_ins, split_data

DAY_S = 86_400
ROWS = [(0, 0, 1), (0, 0, 2), (0, 1, 3), (1, 1, 4), (0, 2, 20), (1, 0, 20), (2, 0, 20)]


def test_events_are_the_check_ins_of_training():
    data = split_data(make_check_ins(ROWS, told=range(3)))
    events = events_of(data.split, data.params)
    assert (events.n_persons, events.n_places) == (3, 3)
    assert events.person.tolist() == [0, 0, 0, 1] and events.place.tolist() == [0, 0, 1, 1]
    assert (events.time_s // DAY_S).tolist() == [1, 2, 3, 4] and not events.is_weak.any()
    assert now_s(data.split) == 6 * DAY_S


def test_single_check_ins_and_friends_places_are_weak():
    data = split_data(make_check_ins(ROWS, told=range(3)), RecommendParams(weak="single"))
    assert events_of(data.split, data.params).is_weak.tolist() == [False, False, True, True]
    assert count_signals(data) == {"n_strong": 2, "n_weak": 2}
    befriended = split_data(make_check_ins(ROWS, told=range(3), friends=[[0, 2]]))
    events = events_of(befriended.split, RecommendParams())
    assert not befriended.split.is_warm[2]
    theirs = events.person == 2
    assert events.place[theirs].tolist() == [1, 0] and events.is_weak[theirs].all()


def test_with_a_second_file_everybodys_training_ends_together():
    data = split_data(make_check_ins([(0, 0, 1), (0, 1, 5), (0, 2, 6, True), (1, 2, 100), (1, 0, 101, True)]))
    events = events_of(data.split, data.params)
    last = [int(events.time_s[events.person == person].max()) for person in (0, 1)]
    assert last == [now_s(data.split) - 1] * 2
    assert np.diff(events.time_s[events.person == 0]).tolist() == [4 * DAY_S]


def test_features_have_types_areas_and_codes():
    kinds = ["Food > Bar", "Food > Bar", "Shop", None]
    fields = {"category": kinds, "area": ["Soho", None, None, None], "lon": [0, 1, np.nan, 9], "lat": [0, 1, np.nan, 9]}
    rows = [*ROWS, (0, 2, 4), (0, 3, 4)]
    split = split_data(make_check_ins(rows, **fields), RecommendParams(rare_share=0.2)).split
    features = features_of(split.world, np.zeros((4, 2), np.float32))
    assert features.place_type.tolist() == [1, 1, 0, 1]
    assert features.category.tolist() == [1, 1, 2, 0]
    assert features.area[2] == 0 and len(set(features.area.tolist())) == 4


def test_params_are_changed_by_name():
    found = with_changes(PlaceModelParams(), {"hgnn.is_balanced": False, "uses_weak_signals": False})
    assert not found.hgnn.is_balanced and not found.uses_weak_signals
    assert found.towers == PlaceModelParams().towers
    with pytest.raises(ValidationError):
        with_changes(PlaceModelParams(), {"hgnn.balanced": False})
    for model in (MODELS | ABLATIONS).values():
        with_changes(PlaceModelParams(), model.changes)


def test_claims_are_of_methods_that_exist():
    assert {name for claim in CLAIMS for name in claim[:2]} <= known_methods().keys()


def test_ablations_that_take_nothing_away_are_told():
    two_kinds = {"category": ["Food", "Food", "Shop"]}
    rows = [(0, 0, 1), (0, 1, 2), (2, 2, 3), (1, 1, 4), (0, 2, 20), (1, 0, 20)]
    wide = RecommendParams(rare_share=0.1)

    def reasons(params=wide, models=PlaceModelParams(), **fields):  # noqa: B008 (it is frozen)
        data = split_data(make_check_ins(rows, **fields), params)
        return {name: reason for name in known_methods() if (reason := why_equal(name, data, models))}

    # One shop has no link to another; there are neither friends nor single check-ins.
    found = reasons(**two_kinds)
    assert set(found) == {"no_weak", "no_rare_links"}
    assert "no weak signals" in found["no_weak"] and "no such links" in found["no_rare_links"]
    assert "no_weak" not in reasons(RecommendParams(rare_share=0.1, weak="single"), **two_kinds)
    one_type = reasons(category=["Food"] * 3)
    assert set(one_type) == set(ABLATIONS) and "one node type" in one_type["unbalanced"]
    so_already = reasons(models=with_changes(PlaceModelParams(), {"hgnn.is_balanced": False}), **two_kinds)
    assert "set so already" in so_already["unbalanced"]


def test_the_models_of_the_tables_are_evaluated():
    pytest.importorskip("torch", reason="torch is not installed")
    from pipeline.models.places.place_models import VARIANT_OF

    assert set(VARIANT_OF.values()) <= MODELS.keys()
    assert all(MODELS[variant].variant == variant for variant in VARIANT_OF.values())


class LastPlace:
    """A fitted model that recommends the place of a person's last event, by its number in the histories."""

    def score(self, histories, persons=None, now_s=None):
        scores = np.zeros((histories.n_persons, histories.n_places), np.float32)
        order = np.argsort(histories.time_s)
        for person, place in zip(histories.person[order], histories.place[order], strict=True):
            scores[person] = np.arange(histories.n_places) == place
        return scores


def test_people_are_served_by_their_own_events(monkeypatch):
    from pipeline.models.places import recommender

    monkeypatch.setattr(recommender, "fit_variant", lambda *given: LastPlace())
    model = Learned(
        split_data(make_check_ins(ROWS, told=range(3))),
        ModelVariant("last", "hgnn", {}, answers_all=False),
        PlaceModelParams(),
        FitRun(),
    )
    scores = model.scores(np.array([1, 2, 0]))
    assert scores[0].tolist() == scores[2].tolist() == [0, 1, 0]
    assert np.isnan(scores[1]).all()  # person 2 comes only in the hold-out
    towers = Learned(
        split_data(make_check_ins(ROWS, told=range(3))),
        ModelVariant("last", "two_towers", {}),
        PlaceModelParams(),
        FitRun(),
    )
    assert towers.scores(np.array([2]))[0].tolist() == [0, 0, 0]  # which can say something of nobody known
    befriended = split_data(make_check_ins(ROWS, told=range(3), friends=[[0, 2]]))
    scores = Learned(befriended, ModelVariant("last", "hgnn", {}), PlaceModelParams(), FitRun()).scores(np.array([2]))
    assert scores[0].tolist() == [0, 1, 0]  # by the last place of a friend
    without = ModelVariant("last", "hgnn", {"uses_weak_signals": False}, answers_all=False)
    assert np.isnan(Learned(befriended, without, PlaceModelParams(), FitRun()).scores(np.array([2]))).all()


def test_models_look_back_as_far_as_training_goes():
    rows = [(0, 0, 1), (0, 1, 200), (1, 0, 200), (0, 2, 300), (1, 1, 300), (2, 2, 1)]
    for days, expected in ((0, 286), (95, 95), (90, 90)):
        split = split_data(make_check_ins(rows, told=range(3)), RecommendParams(training_days=days)).split
        found = with_whole_window(PlaceModelParams(), split).graph.window_days
        assert found >= (split.now_us - split.training["at_us"].min()) / 86_400e6 and found <= expected + 1
    wide = with_changes(PlaceModelParams(), {"graph.window_days": 400})
    assert with_whole_window(wide, split).graph.window_days == 400


def test_a_graph_network_of_several_methods_is_trained_once(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="torch is not installed")
    from pipeline.models.places import hgnn_training

    random = np.random.default_rng(0)
    rows = [(p, q, float(random.uniform(0, 60))) for p in range(12) for q in random.permutation(20)[:8].tolist()]
    data = split_data(make_check_ins(rows, category=["Food", "Shop"] * 10), vectors=np.eye(20, dtype=np.float32))
    small = {"hgnn.max_epochs": 2, "hgnn.width": 4, "towers.widths": [8], "towers.max_epochs": 1, "towers.n_folds": 1}
    params, steps = with_changes(PlaceModelParams(), small), []
    loss = hgnn_training.HgnnLearner.loss
    monkeypatch.setattr(hgnn_training.HgnnLearner, "loss", lambda self, batch: (steps.append(1), loss(self, batch))[1])
    graphs = SharedGraphs(tmp_path)

    def fit(name, seed=0):
        before, model = len(steps), (MODELS | ABLATIONS)[name]
        run, is_there = graphs.start(model.variant, with_changes(params, model.changes), seed)
        scores = Learned(data, model, params, run).scores(np.arange(12))
        graphs.end(run)
        return scores, len(steps) - before, is_there

    alone = Learned(data, MODELS["two_tower_hgnn"], params, FitRun()).scores(np.arange(12))
    _, n_steps, is_there = fit("hgnn")
    assert n_steps > 0 and not is_there
    for name in ("two_tower_hgnn", "graph_foundation", "two_tower_hgnn_one_list", "two_tower_hgnn"):
        scores, n_steps, is_there = fit(name)
        assert n_steps == 0 and is_there
    np.testing.assert_array_equal(scores, alone)
    for name, seed in (("hgnn", 1), ("unbalanced", 0), ("no_common_links", 0), ("hgnn_with_users", 0)):
        assert fit(name, seed)[1] > 0  # these have another one
