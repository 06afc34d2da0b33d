"""Places and visits out of their tables as the arrays that the place models take. No torch in here."""

from __future__ import annotations

from typing import Any, NamedTuple

import h3.api.numpy_int as h3
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_contracts import VISITS
from pipeline.kernels.keyed_random import keyed_bits
from pipeline.models.hashed_text import hash_texts
from pipeline.models.places.group_types import NodeTypes, node_types
from pipeline.models.places.interactions import UNKNOWN, Interactions, PlaceFeatures, mark_single_visits
from pipeline.models.places.params import PlaceTraining
from pipeline.models.places.text import WIDTH, embed_texts, place_texts, weights_of
from pipeline.models.places.text_components import TextComponents, fit_text_components
from pipeline.models.protocol import ModelError, Tables

AREA_WIDTH = 64
"""Numbers that the words of an area add to the vector of its category."""
N_AREA_WORDS = 3
"""Cells that are an area's words: its own and those that hold it (ours: near areas share words)."""
SECOND_US = 1_000_000
VISIT_COLUMNS = ("device_id", "started_at", "dwell_s", "poi_id")


class Vocabulary(NamedTuple):
    """What codes, node types and components mean, fixed when a model is fitted."""

    types: NodeTypes
    categories: NDArray[np.str_]
    """Rising; the code is the position plus 1."""
    vectors: NDArray[np.float32]
    """Of the categories by their encoder, (n, 384): kept, so that a place's text does not hang on the others'."""
    encoder: str
    """Hash of the weights of their encoder, "" of one without any: other places' categories take the same."""
    areas: NDArray[np.int64]
    components: TextComponents


class VisitEvents(NamedTuple):
    """Visits to places of interest."""

    device_id: NDArray[np.int64]
    """Devices, rising: person i of the events."""
    events: Interactions
    """None of them is marked weak."""
    dwell_s: NDArray[np.float64]
    """Dwell of each event."""

    def marked(self, max_dwell_s: float, before_s: int | None = None) -> Interactions:
        """Return the events, short single ones weak (`mark_single_visits`); of those before a moment by them alone."""
        if before_s is None:
            return mark_single_visits(self.events, self.dwell_s, max_dwell_s)
        is_before = self.events.time_s < before_s
        return mark_single_visits(self.events.where(is_before), self.dwell_s[is_before], max_dwell_s)


def read_vocabulary(pois: pd.DataFrame, params: PlaceTraining) -> Vocabulary:
    """Return the vocabulary of all places of interest."""
    paths = _paths(pois)
    types = node_types(paths, params.n_places_per_type, params.n_types, params.category_separator)
    cells = _cells(pois, params.area_resolution)
    categories = np.unique(np.array([path for path in paths if path], dtype=str))
    vectors = embed_texts(place_texts(None, categories.tolist(), None), params.text_encoder)
    encoder = weights_of(params.text_encoder)
    words = _words(paths, cells, categories, vectors, encoder, params)
    return Vocabulary(
        types, categories, vectors, encoder, np.unique(cells), fit_text_components(words, params.text_width)
    )


def place_features(pois: pd.DataFrame, vocabulary: Vocabulary, params: PlaceTraining) -> PlaceFeatures:
    """Return what is known of places by their category and position, in the terms of a vocabulary.

    ModelError where a category is new and would be encoded by other weights than those of the vocabulary.
    """
    paths, cells = _paths(pois), _cells(pois, params.area_resolution)
    words = _words(paths, cells, vocabulary.categories, vocabulary.vectors, vocabulary.encoder, params)
    types = [vocabulary.types.type_of(path, params.category_separator) for path in paths]
    named = np.array([path or "" for path in paths], dtype=str)
    return PlaceFeatures(
        np.array(types, np.int8),
        vocabulary.components.turn(words),
        _codes(named, vocabulary.categories),
        _codes(cells, vocabulary.areas),
    )


def read_events(tables: Tables, poi_ids: NDArray[Any], max_persons: int, seed: int) -> VisitEvents:
    """Return the visits of up to `max_persons` devices to known places, read one shard after the other.

    Kept are four numbers a visit. Who is drawn, where there are more, hangs on ids and seed alone, and the order of
    devices is that of their ids, whatever bucket they come from.
    """
    parts, n_devices = [np.empty((0, 4), np.int64)], 0
    for frame in tables.shards(VISITS, VISIT_COLUMNS):
        parts.append(_numbers(frame, poi_ids))
        n_devices += np.unique(parts[-1][:, 0]).size
        # Joining is put off: each join copies all rows there are.
        if n_devices > 2 * max_persons:
            parts, n_devices = [_of_drawn(np.concatenate(parts), max_persons, seed)], max_persons
    return _events(_of_drawn(np.concatenate(parts), max_persons, seed), poi_ids)


def _of_drawn(rows: NDArray[np.int64], max_persons: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of the devices whose keyed bits are the least, at most `max_persons` of them."""
    devices = np.unique(rows[:, 0])
    if devices.size <= max_persons:
        return rows
    drawn = devices[np.argsort(keyed_bits(devices, "persons learnt from", seed), kind="stable")[:max_persons]]
    return rows[np.isin(rows[:, 0], drawn)]


def events_of(visits: pd.DataFrame, poi_ids: NDArray[Any]) -> VisitEvents:
    """Return the visits of one frame to known places, with all of its devices."""
    found = _events(_numbers(visits, poi_ids), poi_ids)
    devices = np.unique(visits["device_id"].to_numpy())
    person = np.searchsorted(devices, found.device_id)[found.events.person]
    return found._replace(device_id=devices, events=found.events._replace(person=person, n_persons=devices.size))


def _numbers(visits: pd.DataFrame, poi_ids: NDArray[Any]) -> NDArray[np.int64]:
    """Return (n, 4): device, place, second and whole seconds of dwell of visits to known places."""
    place = rows_among(visits["poi_id"], poi_ids)
    columns = (
        visits["device_id"].to_numpy(np.int64),
        place,
        visits["started_at"].astype("int64").to_numpy() // SECOND_US,
        visits["dwell_s"].to_numpy(float).astype(np.int64),
    )
    return np.column_stack(columns)[place >= 0]


def _events(rows: NDArray[np.int64], poi_ids: NDArray[Any]) -> VisitEvents:
    rows = rows[np.lexsort(rows.T[::-1])]
    devices, person = np.unique(rows[:, 0], return_inverse=True)
    place, time_s = rows[:, 1].copy(), rows[:, 2].copy()
    events = Interactions(person.astype(np.int64), place, time_s, np.zeros(len(rows), bool), devices.size, poi_ids.size)
    return VisitEvents(devices, events, rows[:, 3].astype(float))


def rows_among(poi_id: pd.Series, known: NDArray[Any]) -> NDArray[np.int64]:
    """Return the position of each id in a rising list of ids, -1 where it is null or not there."""
    index = pd.Index(known.astype(object))
    return index.get_indexer(poi_id.astype(object).where(poi_id.notna(), None)).astype(np.int64)


def _paths(pois: pd.DataFrame) -> list[str | None]:
    return [str(path) if isinstance(path, str) and path else None for path in pois["poi_category"].astype(object)]


def _cells(pois: pd.DataFrame, resolution: int) -> NDArray[np.int64]:
    positions = zip(pois["lat"].tolist(), pois["lon"].tolist(), strict=True)
    return np.array([h3.latlng_to_cell(*position, resolution) for position in positions], dtype=np.int64)


def _words(
    paths: list[str | None],
    cells: NDArray[np.int64],
    categories: NDArray[np.str_],
    vectors: NDArray[np.float32],
    encoder: str,
    params: PlaceTraining,
) -> NDArray[np.float32]:
    """Return vectors of categories beside hashed ones of areas; categories that are not known are encoded here.

    ModelError where they would be by other weights than those of hash `encoder`.
    """
    distinct, of = np.unique(cells, return_inverse=True)
    told = [" ".join(_area_words(int(cell), params.area_resolution)) for cell in distinct]
    code = _codes(np.array([path or "" for path in paths], dtype=str), categories)
    words = np.zeros((len(paths), WIDTH), np.float32)
    words[code != UNKNOWN] = vectors[code[code != UNKNOWN] - 1]
    unknown = [i for i in np.flatnonzero(code == UNKNOWN) if paths[i]]
    if unknown:
        if weights_of(params.text_encoder) != encoder:
            raise ModelError("categories are new, and the encoder of texts has other weights than when it learnt")
        words[unknown] = embed_texts(place_texts(None, [paths[i] for i in unknown], None), params.text_encoder)
    return np.column_stack([words, hash_texts(told, AREA_WIDTH)[of]])


def _area_words(cell: int, resolution: int) -> list[str]:
    levels = range(max(resolution - N_AREA_WORDS + 1, 0), resolution + 1)
    return [f"{int(h3.cell_to_parent(cell, level)):x}" for level in levels]


def _codes(values: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int32]:
    if not known.size:
        return np.full(values.size, UNKNOWN, np.int32)
    at = np.minimum(np.searchsorted(known, values), known.size - 1)
    return np.where(known[at] == values, at + 1, UNKNOWN).astype(np.int32)
