"""Fitted recommenders: what `recommender.fit_variant` returns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.models.places.graph_recommenders import fit_person_graph, score_by_mean, score_by_person_graph
from pipeline.models.places.hgnn_training import HgnnFit
from pipeline.models.places.interactions import Interactions, PersonFeatures, PlaceFeatures, checked
from pipeline.models.places.params import PlaceModelParams
from pipeline.models.places.place_vectors import fit_place_vectors
from pipeline.models.places.recommender import Variant
from pipeline.models.places.text_components import fit_text_components
from pipeline.models.places.tower_recommenders import DESIGNS, fit_tower_model, in_window, score_with_towers
from pipeline.models.protocol import FitRun

Scores = Callable[[Interactions, PersonFeatures | None, int], NDArray[np.float32]]


@dataclass(frozen=True)
class FittedVariant:
    """A fitted recommender (`recommender.Fitted`)."""

    variant: Variant
    seconds: float
    graph_seconds: float
    n_links: int
    n_links_in_all: int
    n_epochs: int
    n_steps: int
    uses_weak_signals: bool
    has_learnt: bool
    """Whether there was anything to learn from: else scores are of first weights."""
    scores: Scores

    def score(
        self, histories: Interactions, persons: PersonFeatures | None = None, now_s: int | None = None
    ) -> NDArray[np.float32]:
        """Return how well each place suits each person; see `recommender.Fitted`."""
        used = checked(histories) if self.uses_weak_signals else checked(histories).strong()
        moment = int(used.time_s.max(initial=0)) + 1 if now_s is None else now_s
        return self.scores(used, persons, moment)


def fit(
    variant: Variant,
    interactions: Interactions,
    places: PlaceFeatures,
    persons: PersonFeatures | None,
    params: PlaceModelParams,
    run: FitRun,
) -> FittedVariant:
    """Return a fitted recommender; see `recommender.fit_variant`."""
    began = time.perf_counter()
    used = checked(interactions) if params.uses_weak_signals else checked(interactions).strong()
    places = _turned(_checked_features(used, places, persons), params)
    graph, has_learnt, scores = _fit(variant, used, places, persons, params, run)
    return FittedVariant(
        variant,
        time.perf_counter() - began,
        0.0 if graph is None else graph.seconds,
        0 if graph is None else graph.n_links,
        0 if graph is None else graph.n_links_in_all,
        0 if graph is None else graph.n_epochs,
        0 if graph is None else graph.n_steps,
        params.uses_weak_signals,
        has_learnt,
        scores,
    )


def _fit(
    variant: Variant,
    used: Interactions,
    places: PlaceFeatures,
    persons: PersonFeatures | None,
    params: PlaceModelParams,
    run: FitRun,
) -> tuple[HgnnFit | None, bool, Scores]:
    if variant == "hgnn":
        vectors = fit_place_vectors(in_window(used, params), places, params, run)
        has_learnt = vectors.fit.n_links > 0
        return vectors.fit, has_learnt, lambda histories, _, now_s: score_by_mean(vectors, histories, params, now_s)
    if variant == "hgnn_with_users":
        nodes = fit_person_graph(in_window(used, params), places, params, run)
        has_learnt = nodes.fit.n_links > 0
        return nodes.fit, has_learnt, lambda histories, _, now_s: score_by_person_graph(nodes, histories, params, now_s)
    towers = fit_tower_model(DESIGNS[variant], used, places, persons, params, run)
    graph = None if towers.graph is None else towers.graph.fit
    has_learnt = towers.has_learnt and (graph is None or graph.n_links > 0)
    return graph, has_learnt, partial(score_with_towers, towers)


def _checked_features(
    interactions: Interactions, places: PlaceFeatures, persons: PersonFeatures | None
) -> PlaceFeatures:
    """Return the features as arrays of their types; ValueError where they are not of these places and persons."""
    typed = PlaceFeatures(
        np.asarray(places.place_type, np.int8),
        np.ascontiguousarray(places.text, np.float32),
        np.asarray(places.category, np.int32),
        np.asarray(places.area, np.int32),
    )
    if any(len(values) != interactions.n_places for values in typed):
        raise ValueError(f"features are not of {interactions.n_places} places")
    if persons is not None and persons.home_area is not None and len(persons.home_area) != interactions.n_persons:
        raise ValueError(f"home areas are not of {interactions.n_persons} persons")
    return typed


def _turned(places: PlaceFeatures, params: PlaceModelParams) -> PlaceFeatures:
    return places._replace(text=fit_text_components(places.text, params.text_width).turn(places.text))
