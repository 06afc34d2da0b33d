"""`two_tower_hgnn` and `graph_foundation` on the tables: training and held-out metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_contracts import POIS
from pipeline.models.places.covisit_graph import graph_of
from pipeline.models.places.hgnn import embed_places
from pipeline.models.places.interactions import DAY_S, Interactions, PlaceFeatures
from pipeline.models.places.params import PlaceTraining
from pipeline.models.places.place_frames import place_features, read_events, read_vocabulary
from pipeline.models.places.place_state import Learnt, to_state
from pipeline.models.places.place_vectors import typed_links
from pipeline.models.places.random_streams import stream
from pipeline.models.places.tower_recommenders import (
    DESIGNS,
    ONE_LIST,
    TowerModel,
    fit_tower_model,
    in_window,
    score_with_towers,
)
from pipeline.models.protocol import FitRun, State, Tables

DESIGN_OF = {"two_tower_hgnn": ONE_LIST, "graph_foundation": DESIGNS["graph_foundation"]}
LARGEST_HOLDOUT = 0.25
"""Most of the record's time that is held out, however short the record (ours)."""
MAX_SCORED_PERSONS = 5_000
"""Persons that the metrics are of, drawn by chance where there are more (ours: their standard error is below 0.01)."""
PERSONS_AT_ONCE = 512
N_HIT, N_RANKED = 10, 100
"""Places within which a hit counts, and that ranks and coverage look at (2403.05185 [READ])."""


def fit(name: str, tables: Tables, params: PlaceTraining, run: FitRun) -> State:
    """Return what a model has learnt of who visited which places of interest.

    Visits of the last `holdout_days` are not learnt from: the metrics are of places that people went to then for the
    first time. The vectors kept are of the graph up to the end, by the networks trained before.
    """
    pois = tables.whole(POIS).sort_values("poi_id", ignore_index=True)
    poi_ids = pois["poi_id"].to_numpy(object)
    vocabulary = read_vocabulary(pois, params)
    features = place_features(pois, vocabulary, params)
    events = read_events(tables, poi_ids, params.weak_dwell_s).events
    events = events if params.uses_weak_signals else events.strong()
    cut_s = _cut(events, params.holdout_days)
    before = events.before(cut_s)
    model = fit_tower_model(DESIGN_OF[name], before, features, None, params, run)
    metrics = held_out_metrics(model, events, cut_s, run.seed)
    learnt = _learnt(model, vocabulary, poi_ids, features, events, params)
    sizes = {
        "n_places": poi_ids.size,
        "n_persons": events.n_persons,
        "n_events": events.place.size,
        "n_links": int(learnt.n_links.sum()) // 2,
    }
    return to_state(learnt, metrics, sizes)


def held_out_metrics(model: TowerModel, events: Interactions, cut_s: int, seed: int) -> dict[str, float]:
    """Return HR@10, MRR and coverage of the model and of popularity, on first strong visits after a moment.

    Places visited before are left out of both lists. All are 0 where nobody went anywhere new.
    """
    before, after = events.before(cut_s), events.strong()
    after = after.where(after.time_s >= cut_s)
    n_places = events.n_places
    visited = before.person * n_places + before.place
    wanted = np.setdiff1d(after.person * n_places + after.place, visited)
    persons = np.unique(wanted // max(n_places, 1))
    if persons.size > MAX_SCORED_PERSONS:
        persons = np.sort(stream(seed, "persons scored").choice(persons, MAX_SCORED_PERSONS, replace=False))
    strong = before.strong()
    pairs = np.unique(strong.person * n_places + strong.place)
    popularity = np.bincount(pairs % max(n_places, 1), minlength=n_places).astype(np.float32)
    lists: dict[str, list[NDArray[np.int64]]] = {"": [], "popularity_": []}
    for first in range(0, persons.size, PERSONS_AT_ONCE):
        chunk = persons[first : first + PERSONS_AT_ONCE]
        own = _of_persons(before, chunk)
        scores = score_with_towers(model, own, None, cut_s)
        for name, values in (("", scores), ("popularity_", np.tile(popularity, (chunk.size, 1)))):
            values[own.person, own.place] = -np.inf
            lists[name].append(np.argsort(-values, axis=1, kind="stable")[:, :N_RANKED])
    metrics = {"n_persons": float(persons.size)}
    for name, ranked in lists.items():
        metrics |= {f"{name}{what}": value for what, value in _scores_of(ranked, persons, wanted, n_places).items()}
    return metrics


def _cut(events: Interactions, holdout_days: float) -> int:
    """Return the second from which events are held out."""
    if not events.time_s.size:
        return 0
    first, last = int(events.time_s.min()), int(events.time_s.max())
    return last + 1 - int(min(holdout_days * DAY_S, LARGEST_HOLDOUT * (last + 1 - first)))


def _of_persons(events: Interactions, persons: NDArray[np.int64]) -> Interactions:
    """Return the events of some persons (rising), who become 0, 1, …"""
    own = events.where(np.isin(events.person, persons))
    return own._replace(person=np.searchsorted(persons, own.person), n_persons=persons.size)


def _scores_of(
    ranked: list[NDArray[np.int64]], persons: NDArray[np.int64], wanted: NDArray[np.int64], n_places: int
) -> dict[str, float]:
    if not ranked:
        return {"hr_at_10": 0.0, "mrr": 0.0, "coverage": 0.0}
    places = np.concatenate(ranked)
    is_hit = np.isin(persons[:, None] * n_places + places, wanted)
    first = np.where(is_hit.any(axis=1), is_hit.argmax(axis=1), places.shape[1])
    return {
        "hr_at_10": float((first < N_HIT).mean()),
        "mrr": float(np.where(first < places.shape[1], 1.0 / (first + 1), 0.0).mean()),
        "coverage": np.unique(places).size / n_places,
    }


def _learnt(
    model: TowerModel,
    vocabulary,
    poi_ids: NDArray,
    features: PlaceFeatures,
    events: Interactions,
    params: PlaceTraining,
) -> Learnt:
    assert model.graph is not None
    network, silo = model.graph.fit.network, model.silos[0]
    node_type, links = typed_links(in_window(events, params), features, params.graph, params.hgnn)
    graph = graph_of(links, node_type, network.n_types)
    is_seen = np.zeros(poi_ids.size, bool)
    is_seen[events.place] = True
    vectors = embed_places(network, graph, features.text)
    n_links = graph.start[:, -1] - graph.start[:, 0]
    return Learnt(params, vocabulary, poi_ids, vectors, n_links, is_seen, network.cpu(), silo.network.cpu(), silo.shape)
