"""The place models as methods: what they learn from, their variants and ablations. torch comes with fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import h3.api.numpy_int as h3
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.simple_rules import Data
from pipeline.evaluation.recommendation.splitting import DAY_US, Split
from pipeline.evaluation.recommendation.world import World
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.models.places.interactions import Interactions, PlaceFeatures
    from pipeline.models.places.params import PlaceModelParams
    from pipeline.models.places.recommender import Fitted, Variant
    from pipeline.models.places.text import TextEncoder
    from pipeline.models.protocol import FitRun

AREA_RESOLUTION = 7
"""Resolution of the H3 cells that are a place's area where no other is told: some 5 km² (ours)."""
US_PER_S = 1_000_000


class ModelVariant(NamedTuple):
    """A model, or one with a part taken away."""

    title: str
    variant: Variant
    changes: dict[str, Any]
    """Param, as "hgnn.is_balanced" → value."""
    answers_all: bool = True
    """Whether it has a list for people of whom nothing is known: towers do, one for all of them, since check-ins tell
    nothing else of people (2403.05185 [READ]: its cold users have an age and a country)."""


MODELS = {
    "hgnn": ModelVariant("HGNN", "hgnn", {}, answers_all=False),
    "hgnn_with_users": ModelVariant("HGNN with users", "hgnn_with_users", {}, answers_all=False),
    "two_towers": ModelVariant("2T", "two_towers", {}),
    "two_tower_hgnn": ModelVariant("2T-HGNN", "two_tower_hgnn", {}),
    "two_tower_hgnn_one_list": ModelVariant("2T-HGNN one list", "two_tower_hgnn_one_list", {}),
    "graph_foundation": ModelVariant("GFM", "graph_foundation", {}),
}
"""The models that fill tables have the design of the two last (the one registered as two_tower_hgnn is 2T-HGNN for one
list), but vectors of links that several persons made (`PlaceTraining.n_persons_per_kept_link`): here nothing is kept.
"""
ABLATIONS = {
    "unbalanced": ModelVariant("no balanced sampler", "two_tower_hgnn", {"hgnn.is_balanced": False}),
    "no_weak": ModelVariant("no weak signals", "two_tower_hgnn", {"uses_weak_signals": False}),
    "no_common_links": ModelVariant("no common links", "two_tower_hgnn", {"hgnn.dropped_relations": ((1, 1),)}),
    "no_rare_links": ModelVariant("no rare links", "two_tower_hgnn", {"hgnn.dropped_relations": ((0, 0),)}),
    "only_rare": ModelVariant("rare links only", "two_tower_hgnn", {"hgnn.only_type": 0}),
    "only_common": ModelVariant("common links only", "two_tower_hgnn", {"hgnn.only_type": 1}),
}
"""The paper's ablations A to F (2403.05185 [READ]); rare and common stand for its audiobooks and podcasts."""


def events_of(split: Split, params: RecommendParams) -> Interactions:
    """Return the check-ins of training as the models take them; weak ones are friends' places, also of cold people."""
    from pipeline.models.places.interactions import Interactions, add_friends_places, mark_single_visits

    rows, world = split.training, split.world
    time_s = rows["at_us"].to_numpy() // US_PER_S
    person, place = rows["person"].to_numpy(np.int64), rows["place"].to_numpy(np.int64)
    events = Interactions(person, place, time_s, np.zeros(len(rows), np.bool_), world.n_people, world.n_places)
    events = mark_single_visits(events) if params.weak == "single" else events
    return add_friends_places(events, world.friends) if len(world.friends) else events


def now_s(split: Split) -> int:
    """Return the second after the last check-in of training."""
    return -(-split.now_us // US_PER_S)


def with_whole_window(params: PlaceModelParams, split: Split) -> PlaceModelParams:
    """Return the Params with a window of the models that holds all of training, as other methods learn from all."""
    span_days = (split.now_us - int(split.training["at_us"].min())) / DAY_US
    # A day more: windows are counted in whole seconds back from the last event or from now.
    return with_changes(params, {"graph.window_days": max(params.graph.window_days, span_days + 1)})


def features_of(world: World, vectors: NDArray[np.float32]) -> PlaceFeatures:
    """Return what the models know of places: node type, text, codes of category and area."""
    from pipeline.models.places.interactions import PlaceFeatures

    places = world.places
    area = places["area"].where(places["area"].notna(), _cells(places))
    return PlaceFeatures(world.place_type, vectors, _codes(places["category"]), _codes(area))


def count_signals(data: Data) -> dict[str, int]:
    """Return how many strong and weak events the models learn from."""
    is_weak = events_of(data.split, data.params).is_weak
    return {"n_strong": int((~is_weak).sum()), "n_weak": int(is_weak.sum())}


def embed_places(places: pd.DataFrame, encoder: TextEncoder) -> NDArray[np.float32] | None:
    """Return the text embedding of each place, None where neither name, category nor area is known.

    PackageMissingError where the weights of the encoder are not installed.
    """
    from pipeline.models.places.text import embed_texts, place_texts

    if places[["name", "category", "area"]].isna().all(axis=None):
        return None
    texts = place_texts(places["name"].tolist(), places["category"].tolist(), places["area"].tolist())
    return embed_texts(texts, encoder)


class Learned:
    """A fitted model that serves the people of the file by their check-ins of training."""

    def __init__(self, data: Data, model: ModelVariant, params: PlaceModelParams, run: FitRun) -> None:
        """Fit it. Without texts, places have vectors of zeros."""
        from pipeline.models.places.recommender import fit_variant

        world, params = data.split.world, with_changes(params, model.changes)
        vectors = np.zeros((world.n_places, 1), np.float32) if data.vectors is None else data.vectors
        self._events = events_of(data.split, data.params)
        self._now_s = now_s(data.split)
        self.fitted: Fitted = fit_variant(model.variant, self._events, features_of(world, vectors), None, params, run)
        used = self._events if params.uses_weak_signals else self._events.strong()
        self._has_answer = model.answers_all | np.isin(np.arange(world.n_people), used.person)

    def scores(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the model's scores; NaN for people of whom it knows nothing at all, if it cannot score them."""
        number = np.full(self._events.n_persons, -1, np.int64)
        number[people] = np.arange(len(people))
        theirs = self._events.where(number[self._events.person] >= 0)
        histories = theirs._replace(person=number[theirs.person], n_persons=len(people))
        scores = self.fitted.score(histories, now_s=self._now_s).astype(np.float64)
        return np.where(self._has_answer[people][:, None], scores, np.nan)


def with_changes(params: PlaceModelParams, changes: dict[str, Any]) -> PlaceModelParams:
    """Return the Params with some replaced, by names such as "hgnn.is_balanced"; pydantic's error where unknown."""
    values = params.model_dump()
    for name, value in changes.items():
        *path, last = name.split(".")
        inner = values
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise StudyError(f"--set models.{name}: {part} is a value, nothing in it can be set")
        inner[last] = value
    return type(params).model_validate(values)


def _codes(texts: pd.Series) -> NDArray[np.int32]:
    """Return a number from 1 for each distinct value in the order of the alphabet, 0 for none."""
    return (pd.factorize(texts, sort=True)[0] + 1).astype(np.int32)


def _cells(places: pd.DataFrame) -> pd.Series:
    """Return the H3 cell of each place as text, None where it has no position."""
    is_located = places["lon"].notna() & places["lat"].notna()
    at = zip(places["lat"], places["lon"], is_located, strict=True)
    return pd.Series(
        [str(h3.latlng_to_cell(lat, lon, AREA_RESOLUTION)) if known else None for lat, lon, known in at],
        index=places.index,
        dtype=object,
    )
