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
from pipeline.models.places.params import GraphParams, HgnnParams, PlaceModelParams
from pipeline.models.protocol import FitRun


class PlaceVectors(NamedTuple):
    """Vectors of all places from a trained graph network, of the links that are served (`params.served_graph`)."""

    fit: HgnnFit
    all_persons: NDArray[np.float32]
    """(n_places, width), of links of all persons: what persons are served with."""
    without_fold: NDArray[np.float32]
    """(n_folds, n_places, width): what each fold of persons is trained with."""
    fold: NDArray[np.int64]
    """Fold of each person."""


def fit_place_vectors(
    interactions: Interactions, places: PlaceFeatures, params: PlaceModelParams, run: FitRun, n_folds: int = 1
) -> PlaceVectors:
    """Return the graph vectors of places, learnt from who was where.

    The network learns from all links (`params.graph`), vectors are made of those that are served: towers that learnt
    from others would be served with inputs of a kind they never saw. With more than one fold (ours) each fold of
    persons also gets vectors of the graph without their own links, of the same network: with their own ones a place of
    theirs tells by its links that they will go there. One fold has the vectors of all persons, as published.
    """
    node_type, links = typed_links(interactions, places, params.graph, params.hgnn)
    fit = fit_hgnn(links, node_type, places.text, params.hgnn, run)
    vectors, _ = served_vectors(fit.network, interactions, places, params)
    fold = numpy_generator(run.seed, "folds of persons").integers(0, n_folds, interactions.n_persons)
    if n_folds == 1:
        return PlaceVectors(fit, vectors, vectors[None], fold)
    others = (interactions.where(fold[interactions.person] != f) for f in range(n_folds))
    without = [served_vectors(fit.network, events, places, params)[0] for events in others]
    return PlaceVectors(fit, vectors, np.stack(without), fold)


def served_vectors(
    network: Hgnn, interactions: Interactions, places: PlaceFeatures, params: PlaceModelParams
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return vectors (n_places, width) by a trained network, and links of each place, of the links that are served.

    A place without one has a vector from its features. Of `PlaceTraining`, which fills tables, links are those of
    `n_persons_per_kept_link` persons, so that vectors tell of no single one. Evaluation on check-ins keeps nothing and
    takes the links that the network learnt from (`PlaceModelParams`).
    """
    node_type, links = typed_links(interactions, places, params.served_graph, params.hgnn)
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
