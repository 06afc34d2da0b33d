"""Models of places, as the registry knows them. No torch is imported here but by `fit` and `predict`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import Field

from data_contracts import POIS, VISITS, Table
from data_contracts.models_places import PERSON_EMBEDDINGS, PLACE_EMBEDDINGS, RECOMMENDATIONS
from pipeline.models.places.params import PlaceTraining
from pipeline.models.protocol import FitRun, Output, State, Tables, register
from pipeline.params import Params

FAMILY = "pipeline.models.places"


class RecommendationParams(Params):
    """What is recommended."""

    n_recommended: int = Field(default=20, ge=1)
    """Places per device (ours)."""
    has_visited: bool = False
    """Whether places that the device was at may be recommended too (ours: only new ones)."""
    max_exact_places: int = Field(default=200_000, ge=0)
    """Up to so many places are searched exactly, more of them approximately (ours; 2403.05185 searches exactly)."""


PLACES = Output(PLACE_EMBEDDINGS, (POIS,), FAMILY)
PERSONS = Output(PERSON_EMBEDDINGS, (VISITS, PLACE_EMBEDDINGS), FAMILY)
RECOMMENDED = Output(RECOMMENDATIONS, (PERSON_EMBEDDINGS, PLACE_EMBEDDINGS, VISITS), FAMILY, RecommendationParams)


class _PlaceModel:
    """What both models have in common."""

    name: str
    inputs: tuple[Table, ...] = (VISITS, POIS)
    outputs: tuple[Output, ...] = (PLACES, PERSONS, RECOMMENDED)
    params: type[Params] = PlaceTraining
    truth: Table | None = None

    def fit(self, tables: Tables, params: Any, run: FitRun, truth: pd.DataFrame | None = None) -> State:
        """Return what was learnt of VISITS and POIS; see `place_models.fit`."""
        from pipeline.models.places import place_models

        return place_models.fit(self.name, tables, params, run)

    def predict(
        self, output: Output, state: State, frames: Mapping[str, pd.DataFrame], params: Any, device: str = "auto"
    ) -> pd.DataFrame:
        """Return the rows of one shard of an output."""
        from pipeline.models.places import place_tables

        if output is PLACES:
            return place_tables.place_embeddings(state, frames[POIS.name], device)
        places = frames[PLACE_EMBEDDINGS.name]
        if output is PERSONS:
            return place_tables.person_embeddings(state, frames[VISITS.name], places, device)
        return place_tables.recommendations(frames[PERSON_EMBEDDINGS.name], places, frames[VISITS.name], params)


@register
class TwoTowerHgnn(_PlaceModel):
    """2T-HGNN for one list of all places: the design of the variant `two_tower_hgnn_one_list`.

    The variant's vectors (`recommender.fit_variant`) are of links of single persons, since an evaluation keeps nothing.
    """

    name = "two_tower_hgnn"
    title = (
        "Recommends places from a graph of places and two towers; a person has one mean of vectors per kind of place"
    )
    source = (
        "2403.05185, its graph network, loss, balanced sampler and towers; ours: places for audiobooks and podcasts, "
        "one pair of towers for all types (in sojourn evaluate recommend: two_tower_hgnn_one_list, there with links of "
        "single persons), vectors of links of ten persons or more, free of a person's own in training, the in-batch "
        "softmax"
    )


@register
class GraphFoundation(_PlaceModel):
    """The graph foundation model."""

    name = "graph_foundation"
    title = "Recommends places of all kinds from one graph and one pair of towers in one space of vectors"
    source = "2403.07478 (abstract); settings taken from 2403.05185, and what is ours of two_tower_hgnn"
