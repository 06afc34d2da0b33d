"""Graph vectors of places, and, for each fold of persons, those that owe nothing to the fold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.models.devices import numpy_generator
from pipeline.models.places.covisit_graph import covisit_links, graph_of, relation_of
from pipeline.models.places.hgnn import Hgnn, embed_places
from pipeline.models.places.hgnn_training import HgnnFit, fit_hgnn
from pipeline.models.places.interactions import Interactions, PlaceFeatures
from pipeline.models.places.params import GraphParams, HgnnParams, PlaceModelParams, PlaceTraining
from pipeline.models.protocol import FitRun


class PlaceVectors(NamedTuple):
    """Vectors of all places from a trained graph network."""

    fit: HgnnFit
    all_persons: NDArray[np.float32]
    """(n_places, width), from the whole graph: what persons are served with."""
    without_fold: NDArray[np.float32]
    """(n_folds, n_places, width): what each fold of persons is trained with."""
    fold: NDArray[np.int64]
    """Fold of each person."""


def fit_place_vectors(
    interactions: Interactions, places: PlaceFeatures, params: PlaceModelParams, run: FitRun, n_folds: int = 1
) -> PlaceVectors:
    """Return the graph vectors of places, learnt from who was where.

    With more than one fold (ours) each fold of persons also gets vectors of the graph without their own links, of the
    same network: with their own ones a place of theirs tells by its links that they will go there. One fold has the
    vectors of the whole graph, as published.
    """
    node_type, links = typed_links(interactions, places, params.graph, params.hgnn)
    fit = fit_hgnn(links, node_type, places.text, params.hgnn, run)
    graph = graph_of(links, node_type, fit.network.n_types)
    vectors = embed_places(fit.network, graph, places.text)
    fold = numpy_generator(run.seed, "folds of persons").integers(0, n_folds, interactions.n_persons)
    if n_folds == 1:
        return PlaceVectors(fit, vectors, vectors[None], fold)
    without = []
    for f in range(n_folds):
        others = interactions.where(fold[interactions.person] != f)
        links = typed_links(others, places, params.graph, params.hgnn)[1]
        without.append(embed_places(fit.network, graph_of(links, node_type, fit.network.n_types), places.text))
    return PlaceVectors(fit, vectors, np.stack(without), fold)


def kept_vectors(
    network: Hgnn, interactions: Interactions, places: PlaceFeatures, params: PlaceTraining
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return vectors (n_places, width) by a trained network, and links of each place, that tell of no single person.

    Only links that `n_persons_per_kept_link` persons made count. A place without one has a vector from its features.
    """
    n_persons = max(params.n_persons_per_kept_link, params.graph.n_persons_per_link)
    shared = params.graph.model_copy(update={"n_persons_per_link": n_persons})
    node_type, links = typed_links(interactions, places, shared, params.hgnn)
    graph = graph_of(links, node_type, network.n_types)
    return embed_places(network, graph, places.text), graph.start[:, -1] - graph.start[:, 0]


def typed_links(
    interactions: Interactions, places: PlaceFeatures, graph: GraphParams, hgnn: HgnnParams
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return the node type of each place and the links between places, ablations applied."""
    links = covisit_links(interactions, graph)
    relation = relation_of(links, places.place_type)
    if hgnn.only_type is not None:
        is_kept = (relation == hgnn.only_type).all(axis=1)
        return np.zeros_like(places.place_type), links[is_kept]
    is_dropped = np.zeros(len(links), bool)
    for pair in hgnn.dropped_relations:
        is_dropped |= (relation == sorted(pair)).all(axis=1)
    return places.place_type, links[~is_dropped]
