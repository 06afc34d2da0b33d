"""Rules that learn nothing but counts and distances: what a model has to beat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.splitting import Split, pair_codes
from pipeline.kernels.geodesy import EARTH_RADIUS_M

PLACES_PER_BLOCK = 512
"""Places whose distances to others are held at a time."""


class Data(NamedTuple):
    """What a method may know."""

    split: Split
    params: RecommendParams
    vectors: NDArray[np.float32] | None
    """Text embedding of each place, rows of length 1 or 0; None where nothing is known in words."""

    def visits(self) -> csr_matrix:
        """Return the number of check-ins of training for each (person, place)."""
        rows = self.split.training
        ones = np.ones(len(rows), np.float32)
        shape = (self.split.world.n_people, self.split.world.n_places)
        return csr_matrix((ones, (rows["person"], rows["place"])), shape=shape)

    def visited(self) -> csr_matrix:
        """Return 1 for each (person, place) with a check-in of training."""
        found = self.visits()
        found.data[:] = 1
        return found


class Answers:
    """Scores of a method that has nothing to say of people without training."""

    def __init__(self, data: Data) -> None:
        """Note who has check-ins in training."""
        self.visits = data.visits()
        self.visited = data.visited()
        self._is_warm = data.split.is_warm

    def answered(self, people: NDArray[np.int64], scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the scores, rows of people without training NaN."""
        return np.where(self._is_warm[people][:, None], scores, np.nan)


def count_popularity(split: Split) -> NDArray[np.float64]:
    """Return how many people were at each place in training."""
    rows, n_places = split.training, split.world.n_places
    distinct = rows.loc[~pair_codes(rows, n_places).duplicated(), "place"]
    return np.bincount(distinct, minlength=n_places).astype(np.float64)


class Popularity:
    """The same places for all: those that most people visited in training (2403.05185 [READ]: its 90 days)."""

    def __init__(self, data: Data) -> None:
        """Count people."""
        self._counts = count_popularity(data.split)

    def scores(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the number of people who were at each place."""
        return np.tile(self._counts, (len(people), 1))


class OwnHistory(Answers):
    """The person's own most visited places, the latest first among equals (ours)."""

    def __init__(self, data: Data) -> None:
        """Note the last check-in at each place."""
        super().__init__(data)
        rows = data.split.training
        last = rows.groupby(["person", "place"], as_index=False)["at_us"].max()
        first_us, span_us = rows["at_us"].min(), np.ptp(rows["at_us"].to_numpy()) + 1
        share = ((last["at_us"] - first_us) / span_us).to_numpy()
        self._latest = csr_matrix((share, (last["person"], last["place"])), shape=self.visits.shape)

    def scores(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the number of check-ins, and as a fraction below 1 how late the last one was."""
        return self.answered(people, (self.visits[people] + self._latest[people]).toarray())


class TextKnn(Answers):
    """Places whose texts are like the mean of those visited: the paper's LLM-KNN (2403.05185 [READ])."""

    def __init__(self, data: Data) -> None:
        """Average the embeddings of each person's places, each place once."""
        super().__init__(data)
        assert data.vectors is not None
        self._vectors = data.vectors
        self._means = self.visited @ data.vectors

    def scores(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the cosine between person and place."""
        means = self._means[people]
        length = np.linalg.norm(means, axis=1, keepdims=True)
        return self.answered(people, (means / np.where(length > 0, length, 1)) @ self._vectors.T)


class Nearby(Answers):
    """Places near to where the person was, each check-in counting the less the farther (ours).

    The score of a place is the sum of exp(-distance / nearby_m) over the person's check-ins; `is_popular` multiplies it
    with the place's popularity, a gravity model without a fit. Places without a position score 0.
    """

    def __init__(self, data: Data, nearby_m: float, is_popular: bool = False) -> None:
        """Place everything on the sphere."""
        super().__init__(data)
        self._nearby_m = nearby_m
        lon, lat = (np.radians(data.split.world.places[name].to_numpy()) for name in ("lon", "lat"))
        self._is_located = np.isfinite(lon)
        self._at = np.nan_to_num(np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]))
        counts = count_popularity(data.split)
        self._factor = np.where(self._is_located, counts if is_popular else 1.0, 0.0)

    def scores(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the nearness of each place."""
        visits = self.visits[people]
        places = np.unique(visits.indices)
        places = places[self._is_located[places]]
        weights = visits[:, places]
        found = np.zeros((len(people), len(self._at)))
        for start in range(0, len(self._at), PLACES_PER_BLOCK):
            block = slice(start, start + PLACES_PER_BLOCK)
            found[:, block] = weights @ np.exp(-chords_m(self._at[places], self._at[block]) / self._nearby_m)
        return self.answered(people, found * self._factor)


def chords_m(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the straight distances in metres of points on the unit sphere; (n, m)."""
    return EARTH_RADIUS_M * np.sqrt(np.maximum(2 - 2 * (one @ other.T), 0))
