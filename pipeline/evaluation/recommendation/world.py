"""What is known beside who was where: the places of the catalogue, their node types, and who are friends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.check_ins import CheckIns, describe_places
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.models.places.group_types import node_types

NO_NUMBER = -1
"""Number of a place that is not in the catalogue."""


class World(NamedTuple):
    """Places of the catalogue, numbered from 0 in the order of their ids, and people."""

    places: pd.DataFrame
    """name, category, area (text or None), lon, lat (degrees or NaN), is_told (by a table of places); row = place."""
    place_type: NDArray[np.int8]
    """Node type of each place, 0 the rare one (`group_types.node_types`)."""
    n_people: int
    friends: NDArray[np.int64]
    """Pairs of people, the lower number first; shape (n, 2)."""
    ends_by_person: bool
    """Whether everybody's training ends at a time of their own, since a second file holds check-ins out."""

    @property
    def n_places(self) -> int:
        """Number of places of the catalogue."""
        return len(self.places)

    @property
    def n_types(self) -> int:
        """Number of node types."""
        return int(self.place_type.max(initial=0)) + 1

    @property
    def is_rare(self) -> NDArray[np.bool_]:
        """Whether a place is of the rare node type; none is where there is one type only."""
        return (self.place_type == 0) & (self.n_types > 1)


def make_world(
    check_ins: CheckIns, training: pd.DataFrame, ends_by_person: bool, params: RecommendParams
) -> tuple[World, NDArray[np.int64]]:
    """Return what is known by the check-ins of training and a table of places, and each place's number in it.

    What check-ins of the hold-out tell of places is not known; places that only they tell of are not in it and have
    `NO_NUMBER`: categories, codes, texts, negatives and node types are the same with or without them.
    """
    is_catalogued = check_ins.told["is_told"].to_numpy().copy()
    is_catalogued[training["place"]] = True
    number = np.where(is_catalogued, np.cumsum(is_catalogued) - 1, NO_NUMBER)
    places = describe_places(check_ins.told, training)[is_catalogued].reset_index(drop=True)
    n_rare = int(np.ceil(params.rare_share * len(places)))
    place_type = node_types(places["category"].tolist(), n_rare).place_type
    return World(places, place_type, check_ins.n_people, check_ins.friends, ends_by_person), number
