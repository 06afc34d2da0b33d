"""Vectors of places that towers learn from, that metrics are of and that are kept: of links of several persons."""

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from pipeline.models.devices import numpy_generator  # noqa: E402
from pipeline.models.places.declaration import PLACES, TwoTowerHgnn  # noqa: E402
from pipeline.models.places.hgnn import Hgnn  # noqa: E402
from pipeline.models.places.params import GraphParams, PlaceModelParams, PlaceTraining  # noqa: E402
from pipeline.models.places.place_frames import events_of, place_features, read_vocabulary  # noqa: E402
from pipeline.models.places.place_state import from_state  # noqa: E402
from pipeline.models.places.place_vectors import served_vectors  # noqa: E402
from pipeline.models.places.serving import vectors_from_features  # noqa: E402
from pipeline.models.places.tower_training import TowerLearner  # noqa: E402
from pipeline.models.protocol import FitRun  # noqa: E402
from pipeline.models.streaming import FrameTables  # noqa: E402
from pipeline.params import NoParams  # noqa: E402
from tests.place_rows import N_DEVICES, N_PLACES, PARAMS, make_pois, make_visits  # noqa: E402


@pytest.fixture(scope="module")
def tables():
    return {"visits": make_visits(), "pois": make_pois()}


def test_places_without_links_are_inductive(tables):
    """A place visited once and shortly, and one visited before the window, have vectors of their features alone."""
    visits, pois = tables["visits"], make_pois(50)
    start, end = visits["started_at"].min(), visits["started_at"].max()
    more = visits[:3].assign(
        poi_id=["p048", "p049", "p049"],
        dwell_s=[60.0, 3_600.0, 3_600.0],
        started_at=[end, start - pd.Timedelta(days=90), start - pd.Timedelta(days=89)],
    )
    state = TwoTowerHgnn().fit(
        FrameTables({"visits": pd.concat([visits, more]), "pois": pois}),
        PARAMS.model_copy(update={"towers": PARAMS.towers.model_copy(update={"max_epochs": 1})}),
        FitRun(seed=3, device="cpu"),
    )
    places = TwoTowerHgnn().predict(PLACES, state, {"pois": pois}, NoParams(), "cpu")
    assert places["is_inductive"].tolist() == [False] * 48 + [True] * 2
    assert places["n_links"].eq(0).tolist() == places["is_inductive"].tolist()


def test_what_is_kept_of_a_place_tells_nothing_of_the_few_who_were_there(tables):
    """Place 48 is one person's alone, place 49 is of nine who share another place: fewer than asked for."""
    pois, visits = make_pois(50), tables["visits"]
    params = PARAMS.model_copy(update={"n_persons_per_kept_link": 10})
    vocabulary = read_vocabulary(pois, params)
    features = place_features(pois, vocabulary, params)
    network = Hgnn(len(vocabulary.types.names), features.text.shape[1], 16, False)
    devices, day = visits["device_id"].unique(), pd.Timestamp("2024-03-01", tz="UTC")

    def kept(others):
        """Vectors and link counts with one person at place 48 and at others, and nine at places 49 and 0."""
        went = [(devices[0], 48), *((devices[0], other) for other in others)]
        went += [(device, place) for device in devices[1:10] for place in (0, 49)]
        more = pd.DataFrame(went, columns=["device_id", "place"])
        more["poi_id"] = [f"p{place:03d}" for place in more.pop("place")]
        both = pd.concat([visits, more.assign(started_at=day, dwell_s=3_600.0)], ignore_index=True)
        return served_vectors(network, events_of(both, pois["poi_id"]).events, features, params)

    (vectors, n_links), (elsewhere, _) = kept([1, 2, 3]), kept([13, 22, 35])
    assert n_links[48:].tolist() == [0, 0] and n_links[:48].any()
    assert np.array_equal(vectors[48:], elsewhere[48:])
    assert vectors[48:] == pytest.approx(vectors_from_features(network, features)[48:], abs=1e-6)
    params = params.model_copy(update={"n_persons_per_kept_link": 9})
    assert kept([1, 2, 3])[1][48:].tolist() == [0, 1]
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        PlaceTraining(n_persons_per_kept_link=1)


def test_the_state_and_the_metrics_are_of_vectors_of_shared_links(tables, monkeypatch):
    """With more persons asked for than there are, every place is kept and scored as one that nobody was at."""
    scored = []
    monkeypatch.setattr(
        "pipeline.models.places.place_models.held_out_metrics",
        lambda model, *more: scored.append(model.graph.all_persons) or {"n_persons": 0.0},
    )
    params = PARAMS.model_copy(update={"n_persons_per_kept_link": N_DEVICES + 1})
    state = TwoTowerHgnn().fit(FrameTables(tables), params, FitRun(seed=3, device="cpu"))
    learnt = from_state(state)
    pois = tables["pois"].sort_values("poi_id", ignore_index=True)
    alone = vectors_from_features(learnt.hgnn, place_features(pois, learnt.vocabulary, params))
    assert learnt.n_links.tolist() == [0] * N_PLACES and state.facts["sizes"]["n_links"] == 0
    assert state.facts["sizes"]["n_linked_places"] == 0
    assert state.facts["summary"][0].startswith(
        "0 of 48 places have links of their own (61 people or more were at both)"
    )
    assert learnt.vectors == pytest.approx(alone, abs=1e-6) and scored[0] == pytest.approx(alone, abs=1e-6)


def test_towers_learn_from_the_vectors_that_are_kept(tables, monkeypatch):
    """Nothing is held out: what a batch holds of a place is what the state has, but for the links of the fold."""
    batches = []

    def one_epoch(learner, epoch):
        batches.extend(whole(learner, epoch))
        return batches

    whole = TowerLearner.batches
    monkeypatch.setattr(TowerLearner, "batches", one_epoch)
    visits, pois = tables["visits"], tables["pois"]
    events = events_of(visits, pois["poi_id"]).marked(PARAMS.weak_dwell_s)
    for n_folds in (1, 2):
        batches.clear()
        towers = PARAMS.towers.model_copy(update={"max_epochs": 1, "n_folds": n_folds})
        params = PARAMS.model_copy(update={"holdout_days": 1e-6, "n_persons_per_kept_link": 5, "towers": towers})
        state = TwoTowerHgnn().fit(FrameTables(tables), params, FitRun(seed=3, device="cpu"))
        learnt = from_state(state)
        fold = numpy_generator(3, "folds of persons").integers(0, n_folds, events.n_persons)
        features = place_features(pois, learnt.vocabulary, params)
        without = [events.where(fold[events.person] != f) for f in range(n_folds)]
        served = [served_vectors(learnt.hgnn, others, features, params)[0] for others in without]
        expected = [learnt.vectors] if n_folds == 1 else served
        fits = [[np.array_equal(batch["place_graph"], v[batch["place"]]) for v in expected] for batch in batches]
        assert len(batches) > 1 and np.sum(fits, axis=0).all() and np.sum(fits, axis=1).tolist() == [1] * len(batches)
        # Fewer persons a link make other vectors, so that these are of five and more.
        single = params.model_copy(update={"n_persons_per_kept_link": 2})
        assert not np.array_equal(served_vectors(learnt.hgnn, events, features, single)[0], learnt.vectors)


def test_without_a_floor_towers_and_persons_have_the_links_of_the_network():
    """Evaluation keeps nothing: its Params ask for no more persons a link than the network's."""
    assert PlaceModelParams().served_graph == PlaceModelParams().graph
    floor = PlaceTraining(graph=GraphParams(n_persons_per_link=12, window_days=7.0))
    assert floor.served_graph == floor.graph
    assert PlaceTraining().served_graph == GraphParams(n_persons_per_link=10)
