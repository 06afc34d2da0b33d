"""Recommenders by the graph network alone: persons as means of their places, or as nodes of the graph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.places.covisit_graph import graph_of
from pipeline.models.places.hgnn import N_LAYERS, Hgnn, embed_layers
from pipeline.models.places.hgnn_training import HgnnFit, fit_hgnn
from pipeline.models.places.histories import Asked, histories_of, history_places, mean_vectors
from pipeline.models.places.interactions import Interactions, PlaceFeatures
from pipeline.models.places.neighbour_max import max_over_all
from pipeline.models.places.params import PlaceModelParams
from pipeline.models.places.place_vectors import PlaceVectors
from pipeline.models.protocol import FitRun


def score_by_mean(
    graph: PlaceVectors, histories: Interactions, params: PlaceModelParams, now_s: int
) -> NDArray[np.float32]:
    """Return products of each place's graph vector with the mean of those in the person's history; 0 without any."""
    asked = _everybody(histories, now_s)
    group = np.zeros(histories.n_places, np.int8)
    means, _ = mean_vectors(
        histories_of(histories),
        asked,
        graph.all_persons,
        group,
        1,
        params.graph.window_days,
        params.towers.max_history,
    )
    return means[:, 0] @ graph.all_persons.T


class PersonGraph(NamedTuple):
    """A graph network whose nodes are places and persons, and the places' vectors layer by layer."""

    fit: HgnnFit
    hidden: list[NDArray[np.float32]]
    """Vectors of the places before each layer."""
    places: NDArray[np.float32]
    """Final vectors of the places, of length 1."""
    features: PlaceFeatures


def fit_person_graph(recent: Interactions, places: PlaceFeatures, params: PlaceModelParams, run: FitRun) -> PersonGraph:
    """Return the network over places and persons (the paper's HGNN-w-users): links are who was where.

    A link joins a person and a place of strong events; the person is the anchor. Persons' features are 0 (ours: the
    paper does not say): a mean of their places' texts would hold the place that a link asks for.
    """
    strong = recent.strong()
    person, place = np.unique(np.column_stack([strong.person, strong.place]), axis=0).T
    links = np.column_stack([place, person + recent.n_places])
    node_type = np.append(places.place_type, np.full(recent.n_persons, places.n_types, np.int8))
    features = np.concatenate([places.text, _no_text(recent.n_persons, places)])
    fit = fit_hgnn(links, node_type, features, params.hgnn, run, places.n_types, places.n_types + 1)
    graph = graph_of(links, node_type, fit.network.n_types)
    hidden = [values[: recent.n_places] for values in embed_layers(fit.network, graph, features)]
    return PersonGraph(fit, hidden[:-1], _of_length_1(hidden[-1]), places)


def score_by_person_graph(
    model: PersonGraph, histories: Interactions, params: PlaceModelParams, now_s: int
) -> NDArray[np.float32]:
    """Return products of the vectors of persons, as nodes linked to the places of their histories, and of places."""
    rows, place = history_places(histories_of(histories), _everybody(histories, now_s), params.graph.window_days)
    ends = np.searchsorted(rows, np.arange(histories.n_persons + 1))
    own = _no_text(histories.n_persons, model.features)
    for k in range(N_LAYERS):
        own = _person_layer(model.fit.network, k, own, model.hidden[k], model.features.place_type, place, ends)
    return _of_length_1(own) @ model.places.T


@torch.no_grad()
def _person_layer(
    network: Hgnn,
    k: int,
    own: NDArray[np.float32],
    hidden: NDArray[np.float32],
    place_type: NDArray[np.int8],
    place: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return persons after layer k from their vectors and those of their places before it."""
    layer, person_type = network.layer(k), network.n_types - 1
    device = next(layer.parameters()).device
    greatest = np.zeros((len(own), network.width), np.float32)
    for s in range(person_type):
        said = np.zeros((len(hidden), network.width), np.float32)
        members = place_type == s
        said[members] = layer.messages(torch.from_numpy(hidden[members]).to(device), s, person_type).cpu().numpy()
        # Places of other types say 0, which is no more than any maximum.
        greatest += max_over_all(said, ends[:-1], ends[1:], place)
    updated = layer.update(torch.from_numpy(own).to(device), torch.from_numpy(greatest).to(device), person_type)
    return updated.cpu().numpy()


def _no_text(n_persons: int, places: PlaceFeatures) -> NDArray[np.float32]:
    """Return the features of persons as nodes."""
    return np.zeros((n_persons, places.text.shape[1]), np.float32)


def _everybody(interactions: Interactions, now_s: int) -> Asked:
    n = interactions.n_persons
    return Asked(np.arange(n), np.full(n, now_s, np.int64))


def _of_length_1(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
