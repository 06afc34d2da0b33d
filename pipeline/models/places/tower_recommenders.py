"""Recommenders with two towers: without graph vectors, 2T-HGNN (2403.05185), and the foundation model (2403.07478)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.places.histories import Asked, histories_of, history_places
from pipeline.models.places.interactions import DAY_S, UNKNOWN, Interactions, PersonFeatures, PlaceFeatures
from pipeline.models.places.params import PlaceModelParams
from pipeline.models.places.place_vectors import PlaceVectors, fit_place_vectors
from pipeline.models.places.tower_training import Pairs, TowerData, fit_towers, pairs_of, person_inputs, place_inputs
from pipeline.models.places.towers import TowerShape, TwoTowers
from pipeline.models.protocol import FitRun

PLACES_AT_ONCE = 1 << 16
"""Places whose tower vectors are computed at a time: bounds memory, changes nothing."""


class Design(NamedTuple):
    """What sets the variants with towers apart."""

    has_graph: bool
    has_type_means: bool
    """Whether persons have a mean of graph vectors per node type (2403.05185), or one over all places (2403.07478)."""
    is_per_type: bool
    """One pair of towers per node type, as 2T-HGNN's item tower serves audiobooks; else one for all (2403.07478)."""
    has_history: bool
    """Whether persons have the vector that stands for the paper's music history."""


DESIGNS = {
    "two_towers": Design(has_graph=False, has_type_means=True, is_per_type=True, has_history=True),
    "two_tower_hgnn": Design(has_graph=True, has_type_means=True, is_per_type=True, has_history=True),
    # 2T-HGNN for one list of places of all types, as the table of recommendations is: one pair of towers (ours).
    "two_tower_hgnn_one_list": Design(has_graph=True, has_type_means=True, is_per_type=False, has_history=False),
    # The item tower of 2403.07478 takes text and graph vector, its user tower the mean of these [READ]. Codes of
    # categories and areas, the code of the home's area and the mark of an empty history are ours, as in 2T-HGNN.
    "graph_foundation": Design(has_graph=True, has_type_means=False, is_per_type=False, has_history=False),
}


class Silo(NamedTuple):
    """One pair of towers and the places it serves."""

    network: TwoTowers
    shape: TowerShape
    served: NDArray[np.int64]
    places: NDArray[np.float32]
    """Tower vectors of the places served."""
    n_pairs: int
    """Visits that the towers learnt from; 0: they have their first weights."""


class TowerModel(NamedTuple):
    """Trained towers with what serving needs."""

    silos: list[Silo]
    data: TowerData
    """Its histories are those of training; `serve` takes others."""
    graph: PlaceVectors | None
    params: PlaceModelParams

    @property
    def has_learnt(self) -> bool:
        """Whether all towers had visits to learn from; those of a type without places serve nothing and need none."""
        return all(silo.n_pairs for silo in self.silos if silo.served.size)


def fit_tower_model(
    design: Design,
    interactions: Interactions,
    places: PlaceFeatures,
    persons: PersonFeatures | None,
    params: PlaceModelParams,
    run: FitRun,
) -> TowerModel:
    """Return the towers of a design, fitted; pairs are those of `recent_pairs`, histories reach back before."""
    recent = in_window(interactions, params)
    graph = fit_place_vectors(recent, places, params, run, params.towers.n_folds) if design.has_graph else None
    data = tower_data(interactions, places, persons, graph, design, params)
    n_types = places.n_types if design.is_per_type else 1
    served_by = places.place_type if design.is_per_type else np.zeros_like(places.place_type)
    home_areas = data.home_area
    shape = TowerShape(
        n_groups=0 if graph is None else int(data.group.max(initial=0)) + 1,
        graph_width=data.vectors.shape[2],
        text_width=places.text.shape[1],
        has_history=design.has_history,
        n_categories=int(places.category.max(initial=0)) + 1,
        n_areas=int(places.area.max(initial=0)) + 1,
        n_home_areas=int(home_areas.max(initial=0)) + 1,
    )
    pairs = recent_pairs(interactions, params)
    silos = []
    for t in range(n_types):
        own = Pairs(*(values[served_by[pairs.place] == t] for values in pairs))
        network, n_pairs = fit_towers(data, shape, own, params.towers, run, f"towers_{t}")
        served = np.flatnonzero(served_by == t)
        vectors = np.zeros((places.category.size, 0), np.float32) if graph is None else graph.all_persons
        silos.append(Silo(network, shape, served, place_vectors(network, places, vectors, shape, served), n_pairs))
    return TowerModel(silos, data, graph, params)


def tower_data(
    interactions: Interactions,
    places: PlaceFeatures,
    persons: PersonFeatures | None,
    graph: PlaceVectors | None,
    design: Design,
    params: PlaceModelParams,
) -> TowerData:
    """Return what inputs are made of; without graph vectors there is one fold of none."""
    n_places = places.category.size
    fold = np.zeros(interactions.n_persons, np.int64) if graph is None else graph.fold
    vectors = np.zeros((1, n_places, 0), np.float32) if graph is None else graph.without_fold
    return TowerData(
        histories_of(interactions),
        home_areas_of(persons, interactions.n_persons),
        places,
        places.place_type if design.has_type_means else np.zeros_like(places.place_type),
        vectors,
        fold,
        params.graph.window_days,
    )


def place_vectors(
    network: TwoTowers, places: PlaceFeatures, vectors: NDArray[np.float32], shape: TowerShape, served: NDArray
) -> NDArray[np.float32]:
    """Return the tower vectors of the places served."""
    device = next(network.parameters()).device
    computed = np.empty((served.size, network.width), np.float32)
    network.eval()
    with torch.no_grad():
        for first in range(0, served.size, PLACES_AT_ONCE):
            inputs = place_inputs(places, vectors, shape, served[first : first + PLACES_AT_ONCE])
            moved = type(inputs)(*(values.to(device) for values in inputs))
            computed[first : first + PLACES_AT_ONCE] = network.places(moved).cpu().numpy()
    return computed


def person_vectors(model: TowerModel, silo: Silo, data: TowerData, asked: Asked) -> NDArray[np.float32]:
    """Return the tower vectors of persons as of the moments asked for."""
    inputs = person_inputs(data, silo.shape, asked, 0, model.params.towers.max_history)
    device = next(silo.network.parameters()).device
    silo.network.eval()
    with torch.no_grad():
        return silo.network.persons(type(inputs)(*(values.to(device) for values in inputs))).cpu().numpy()


def score_with_towers(
    model: TowerModel, histories: Interactions, persons: PersonFeatures | None, now_s: int
) -> NDArray[np.float32]:
    """Return the score of each place for each person, (n_persons, n_places), as of a moment."""
    whole = model.data.vectors[:1] if model.graph is None else model.graph.all_persons[None]
    data = model.data._replace(
        histories=histories_of(histories), home_area=home_areas_of(persons, histories.n_persons), vectors=whole
    )
    asked = Asked(np.arange(histories.n_persons), np.full(histories.n_persons, now_s, np.int64))
    scores = np.empty((histories.n_persons, histories.n_places), np.float32)
    for silo in model.silos:
        vectors = person_vectors(model, silo, data, asked)
        scores[:, silo.served] = vectors @ silo.places.T / model.params.towers.temperature
    if len(model.silos) > 1:
        _make_comparable(scores, model, data, asked)
    return scores


def in_window(interactions: Interactions, params: PlaceModelParams) -> Interactions:
    """Return the events of the window before the last one."""
    return interactions.where(_is_recent(interactions.time_s, interactions, params))


def recent_pairs(interactions: Interactions, params: PlaceModelParams) -> Pairs:
    """Return the pairs of the window: first visits of all the record, or all strong events (`towers.is_new_only`).

    A first visit of the window alone may be to a place known from before, which the history then tells already.
    """
    pairs = pairs_of(interactions, params.towers.is_new_only)
    is_recent = _is_recent(pairs.time_s, interactions, params)
    return Pairs(*(values[is_recent] for values in pairs))


def home_areas_of(persons: PersonFeatures | None, n_persons: int) -> NDArray[np.int32]:
    """Return the code of each person's home area, `UNKNOWN` where nothing is said."""
    if persons is None or persons.home_area is None:
        return np.full(n_persons, UNKNOWN, np.int32)
    return np.asarray(persons.home_area, np.int32)


def _is_recent(time_s: NDArray[np.int64], interactions: Interactions, params: PlaceModelParams) -> NDArray[np.bool_]:
    if not interactions.time_s.size:
        return np.zeros(time_s.shape, bool)
    return time_s > interactions.time_s.max() - params.graph.window_days * DAY_S


def _make_comparable(scores: NDArray[np.float32], model: TowerModel, data: TowerData, asked: Asked) -> None:
    """Turn similarities of several pairs of towers into log probabilities: of the type, and of the place within (ours).

    A person's share of each type is that of the distinct places in the history, with one more place of each type.
    """
    row, place = history_places(data.histories, asked, data.window_days)
    n_types = len(model.silos)
    counts = np.ones((asked.person.size, n_types))
    np.add.at(counts, (row, data.features.place_type[place]), 1.0)
    log_share = np.log(counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    for t, silo in enumerate(model.silos):
        if silo.served.size:
            own = scores[:, silo.served]
            top = own.max(axis=1, keepdims=True)
            total = top + np.log(np.exp(own - top).sum(axis=1, keepdims=True))
            scores[:, silo.served] = own - total + log_share[:, t : t + 1]
