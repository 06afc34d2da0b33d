"""Tables of the place models, one shard at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.models_places import PERSON_EMBEDDINGS, PLACE_EMBEDDINGS, RECOMMENDATIONS
from pipeline.models.devices import pick_device
from pipeline.models.places.declaration import RecommendationParams
from pipeline.models.places.histories import Asked, histories_of, history_places, mean_vectors
from pipeline.models.places.index import PlaceIndex
from pipeline.models.places.place_frames import events_of, place_features, rows_among
from pipeline.models.places.place_state import from_state
from pipeline.models.places.serving import tower_vectors_of_persons, tower_vectors_of_places, vectors_from_features
from pipeline.models.protocol import State


def place_embeddings(state: State, pois: pd.DataFrame, device: str) -> pd.DataFrame:
    """Return PLACE_EMBEDDINGS: places that the model knows by the graph, others by category and area alone."""
    learnt = from_state(state)
    chosen = pick_device(device)
    pois = pois.sort_values("poi_id", ignore_index=True)
    features = place_features(pois, learnt.vocabulary, learnt.params)
    row = rows_among(pois["poi_id"], learnt.poi_ids)
    is_known = row >= 0
    vectors = vectors_from_features(learnt.hgnn.to(chosen), features)
    vectors[is_known] = learnt.vectors[row[is_known]]
    n_links = np.zeros(len(pois), np.int64)
    n_links[is_known] = learnt.n_links[row[is_known]]
    names = np.array(learnt.vocabulary.types.names, dtype=object)
    columns = {
        "poi_id": pois["poi_id"],
        "place_type": names[features.place_type],
        "graph_embedding": _lists(vectors),
        "embedding": _lists(tower_vectors_of_places(learnt.towers.to(chosen), learnt.shape, features, vectors)),
        "n_links": n_links,
        "is_inductive": n_links == 0,
    }
    return pd.DataFrame(columns)[PLACE_EMBEDDINGS.names]


def person_embeddings(state: State, visits: pd.DataFrame, places: pd.DataFrame, device: str) -> pd.DataFrame:
    """Return PERSON_EMBEDDINGS: every device of the visits as of its last visit to a place of interest."""
    learnt = from_state(state)
    places = places.sort_values("poi_id", ignore_index=True)
    events = events_of(visits, places["poi_id"].to_numpy(object))
    marked = events.marked(learnt.params.weak_dwell_s)
    used = marked if learnt.params.uses_weak_signals else marked.strong()
    histories = histories_of(used)
    last = np.maximum(histories.start[1:] - 1, 0)
    has_any = np.diff(histories.start) > 0
    until_s = np.zeros(events.device_id.size, np.int64)
    until_s[has_any] = histories.time_s[last[has_any]] + 1
    asked = Asked(np.arange(events.device_id.size), until_s)
    group = _groups(places, learnt.vocabulary.types.names, learnt.shape.n_groups)
    vectors = _vectors(places["graph_embedding"], learnt.shape.graph_width)
    window_days, max_places = learnt.params.graph.window_days, learnt.params.towers.max_history
    means, has_means = mean_vectors(histories, asked, vectors, group, learnt.shape.n_groups, window_days, max_places)
    row, _ = history_places(histories, asked, window_days)
    columns = {
        "device_id": events.device_id,
        "embedding": _lists(tower_vectors_of_persons(learnt.towers.to(pick_device(device)), means, has_means)),
        "n_places": np.bincount(row, minlength=events.device_id.size),
        "is_cold": ~has_any,
    }
    return pd.DataFrame(columns)[PERSON_EMBEDDINGS.names]


def recommendations(
    persons: pd.DataFrame, places: pd.DataFrame, visits: pd.DataFrame, params: RecommendationParams
) -> pd.DataFrame:
    """Return RECOMMENDATIONS: the places whose vectors go best with each person's."""
    if persons.empty or places.empty:
        return RECOMMENDATIONS.schema.empty_table().to_pandas()
    persons = persons.sort_values("device_id", ignore_index=True)
    places = places.sort_values("poi_id", ignore_index=True)
    width = len(places["embedding"].iloc[0])
    index = PlaceIndex(_vectors(places["embedding"], width), params.max_exact_places)
    device_id = persons["device_id"].to_numpy()
    visited = _visited(visits, device_id, places)
    n_most = 0 if params.has_visited else max(np.bincount(visited // len(places), minlength=1))
    vectors = _vectors(persons["embedding"], width)
    place, score = index.search(vectors, min(params.n_recommended + int(n_most), len(places)))
    person = np.repeat(np.arange(device_id.size), place.shape[1])
    place, score = place.ravel(), score.ravel()
    is_visited = np.isin(person * len(places) + place, visited)
    is_kept = (place >= 0) & (params.has_visited | ~is_visited)
    rank = (np.cumsum(is_kept.reshape(len(vectors), -1), axis=1)).ravel()
    rows = np.flatnonzero(is_kept & (rank <= params.n_recommended))
    columns = {
        "device_id": device_id[person[rows]],
        "rank": rank[rows].astype(np.int32),
        "poi_id": places["poi_id"].to_numpy(object)[place[rows]],
        "score": score[rows],
        "is_visited": is_visited[rows],
        "is_cold": persons["is_cold"].to_numpy(bool)[person[rows]],
    }
    return pd.DataFrame(columns)[RECOMMENDATIONS.names]


def _visited(visits: pd.DataFrame, device_id: NDArray[np.int64], places: pd.DataFrame) -> NDArray[np.int64]:
    """Return person * n_places + place of all visits to these places, each once."""
    place = rows_among(visits["poi_id"], places["poi_id"].to_numpy(object))
    person = pd.Index(device_id).get_indexer(visits["device_id"])
    is_both = (place >= 0) & (person >= 0)
    return np.unique(person[is_both] * len(places) + place[is_both])


def _groups(places: pd.DataFrame, names: tuple[str, ...], n_groups: int) -> NDArray[np.int8]:
    """Return the group that each place's vector is averaged in: its type, or all one."""
    if n_groups == 1:
        return np.zeros(len(places), np.int8)
    return pd.Index(names).get_indexer(places["place_type"].astype(object)).astype(np.int8)


def _vectors(lists: pd.Series, width: int) -> NDArray[np.float32]:
    return np.concatenate([np.empty(0, np.float32), *lists]).astype(np.float32).reshape(-1, width)


def _lists(vectors: NDArray[np.float32]) -> pd.Series:
    """Return rows as a column of lists."""
    start = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    lists = pa.ListArray.from_arrays(pa.array(start), pa.array(np.ascontiguousarray(vectors).ravel(), pa.float32()))
    return pd.Series(pd.arrays.ArrowExtensionArray(lists))
