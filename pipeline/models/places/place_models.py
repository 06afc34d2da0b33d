"""`two_tower_hgnn` and `graph_foundation` on the tables: training and held-out metrics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from data_contracts import POIS
from pipeline.models.devices import numpy_generator
from pipeline.models.metrics import METRICS
from pipeline.models.places.interactions import DAY_S, Interactions, PlaceFeatures
from pipeline.models.places.params import PlaceModelParams, PlaceTraining
from pipeline.models.places.place_frames import place_features, read_events, read_vocabulary
from pipeline.models.places.place_state import Learnt, to_state
from pipeline.models.places.place_vectors import served_vectors
from pipeline.models.places.ranked_lists import (
    blocks_of_people,
    coverage,
    find_ranks,
    hits,
    reciprocal_ranks,
    top_places,
)
from pipeline.models.places.recommender import Variant
from pipeline.models.places.tower_recommenders import (
    DESIGNS,
    TowerModel,
    fit_tower_model,
    in_window,
    score_with_towers,
)
from pipeline.models.protocol import FitRun, ModelError, State, Tables

VARIANT_OF: dict[str, Variant] = {"two_tower_hgnn": "two_tower_hgnn_one_list", "graph_foundation": "graph_foundation"}
"""Variant whose design each registered model has; its vectors are of other links (`PlaceTraining.served_graph`)."""
LARGEST_HOLDOUT = 0.25
"""Most of the record's time that is held out, however short the record (ours)."""
MAX_SCORED_PERSONS = 5_000
"""Persons that the metrics are of, drawn by chance where there are more (ours: their standard error is below 0.01)."""
MIN_SCORED_PERSONS = 10
"""Persons below whom metrics are left out: they would tell of single ones (ours; as the least group of exports)."""
SHOWN = ("hr_at_10", "mrr", "coverage")
"""Metrics of a summary."""
N_HIT, N_RANKED = 10, 100
"""Places within which a hit counts, and that ranks and coverage look at (2403.05185 [READ])."""


def fit(name: str, tables: Tables, params: PlaceTraining, run: FitRun) -> State:
    """Return what a model has learnt of who visited which places of interest.

    Visits of the last `holdout_days` are not learnt from: the metrics are of places that people went to then for the
    first time. Vectors kept are of the graph up to the end, by the networks trained before. Links of few persons
    (`n_persons_per_kept_link`) teach the graph network, and are in no vector: of those that towers learn from and that
    metrics are of, as of those kept. ModelError where there is nothing to learn from.
    """
    pois = tables.whole(POIS).sort_values("poi_id", ignore_index=True)
    poi_ids = pois["poi_id"].to_numpy(object)
    vocabulary = read_vocabulary(pois, params)
    features = place_features(pois, vocabulary, params)
    visits = read_events(tables, poi_ids, params.max_persons, run.seed)
    cut_s = _cut(visits.events, params.holdout_days)
    # Which visits before the cut are weak must not hang on who came back after it.
    before, marked = visits.marked(params.weak_dwell_s, cut_s), visits.marked(params.weak_dwell_s)
    model = fit_tower_model(DESIGNS[VARIANT_OF[name]], _used(before, params), features, None, params, run)
    _check_learnt(model)
    after = marked.where(marked.time_s >= cut_s).strong()
    metrics = held_out_metrics(model, before, after, cut_s, run.seed)
    events = _used(marked, params)
    learnt = _learnt(model, vocabulary, poi_ids, features, events, params)
    sizes = {
        "n_places": poi_ids.size,
        "n_persons": events.n_persons,
        "n_events": events.place.size,
        "n_links": int(learnt.n_links.sum()) // 2,
        "n_linked_places": int((learnt.n_links > 0).sum()),
    }
    return to_state(learnt, metrics, sizes, [_told_links(sizes, params), *summary_of(metrics)])


def _check_learnt(model: TowerModel) -> None:
    """ModelError where a part of a model has its first weights, as there was nothing to learn from."""
    if model.graph and not model.graph.fit.n_links:
        raise ModelError("no two places of interest share enough visitors before the held-out days: more are needed")
    if not model.has_learnt:
        raise ModelError("visits to places of interest before the held-out days are too few to learn from")


def held_out_metrics(
    model: TowerModel, before: Interactions, after: Interactions, cut_s: int, seed: int
) -> dict[str, float]:
    """Return HR@10, MRR and coverage of the model and of popularity, and of how many persons they are.

    Looked for is each person's first strong visit since the cut (of one moment the lower place) to a place not visited
    before, as `sojourn evaluate recommend` does first of all. `before` are all events until then, the weak ones too:
    their places are in no list. Popularity is of the days that the model learns from, as there. Of fewer than
    `MIN_SCORED_PERSONS` the number of persons alone is told.
    """
    n_places = before.n_places
    persons, wanted = _first_new(before, after)
    n_persons = {"n_persons": float(persons.size)}
    if persons.size < MIN_SCORED_PERSONS:
        return n_persons
    if persons.size > MAX_SCORED_PERSONS:
        drawn = numpy_generator(seed, "persons scored").choice(persons.size, MAX_SCORED_PERSONS, replace=False)
        persons, wanted = persons[np.sort(drawn)], wanted[np.sort(drawn)]
        n_persons = {"n_persons": float(persons.size)}
    strong = in_window(before, model.params).strong()
    pairs = np.unique(strong.person * n_places + strong.place)
    popularity = np.bincount(pairs % n_places, minlength=n_places).astype(np.float32)
    in_order = np.arange(n_places)
    lists: dict[str, list[NDArray[np.int64]]] = {"": [], "popularity_": []}
    for chunk in blocks_of_people(persons, n_places):
        own = _of_persons(before, chunk)
        scores = score_with_towers(model, _used(own, model.params), None, cut_s)
        for name, values in (("", scores), ("popularity_", np.tile(popularity, (chunk.size, 1)))):
            values[own.person, own.place] = -np.inf
            lists[name].append(top_places(values, in_order, N_RANKED))
    return n_persons | {
        f"{name}{what}": value
        for name, listed in lists.items()
        for what, value in scores_of_lists(np.concatenate(listed), wanted, n_places).items()
    }


def summary_of(metrics: Mapping[str, float]) -> list[str]:
    """Return the metrics in words, each beside popularity's, and whether more hits were had than by popularity."""
    people = f"{metrics['n_persons']:,.0f} people, first place new to them in the days held out"
    if "hr_at_10" not in metrics:
        return [f"{people}: not scored, too few"]
    told = ", ".join(
        f"{METRICS[name][0]} {metrics[name]:.4f} (popularity {metrics[f'popularity_{name}']:.4f})" for name in SHOWN
    )
    has = "more" if metrics["hr_at_10"] > metrics["popularity_hr_at_10"] else "no more"
    elsewhere = "intervals: sojourn evaluate recommend, whose model takes links of single persons"
    return [f"{people}: {told}", f"{has} hits than popularity (no interval here; {elsewhere})"]


def _told_links(sizes: Mapping[str, int], params: PlaceTraining) -> str:
    """Return in words how many places have a vector made of links."""
    n_persons = params.served_graph.n_persons_per_link
    return (
        f"{sizes['n_linked_places']:,} of {sizes['n_places']:,} places have links of their own ({n_persons:,} people "
        "or more were at both), the others vectors of category and area alone"
    )


def scores_of_lists(listed: NDArray[np.int64], wanted: NDArray[np.int64], n_places: int) -> dict[str, float]:
    """Return HR@10, MRR and coverage of lists (n, n_ranked), one place being wanted of each."""
    rank, is_listed = find_ranks(listed, wanted), np.isin(np.arange(n_places), listed)
    return {
        "hr_at_10": float(hits(rank, N_HIT).mean()),
        "mrr": float(reciprocal_ranks(rank).mean()),
        "coverage": coverage(is_listed, np.ones(n_places, np.bool_)),
    }


def _first_new(before: Interactions, after: Interactions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return persons, rising, and of each the first place of the later events that is in none of the earlier."""
    n_places = before.n_places
    is_new = ~np.isin(after.person * n_places + after.place, before.person * n_places + before.place)
    new = after.where(is_new)
    order = np.lexsort((new.place, new.time_s, new.person))
    persons, first = np.unique(new.person[order], return_index=True)
    return persons, new.place[order][first]


def _used(events: Interactions, params: PlaceModelParams) -> Interactions:
    return events if params.uses_weak_signals else events.strong()


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
    vectors, n_links = served_vectors(network, in_window(events, params), features, params)
    return Learnt(params, vocabulary, poi_ids, vectors, n_links, network.cpu(), silo.network.cpu(), silo.shape)
