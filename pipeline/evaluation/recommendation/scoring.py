"""Scores of a method over seeds and people, of all and of kinds of people and places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.comparing import Figure, mean_with_interval
from pipeline.evaluation.recommendation.lists import Listed, coverage, hits, reciprocal_ranks
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.simple_rules import Data
from pipeline.evaluation.recommendation.splitting import Targets

SEPARATOR = ">"
"""Between the levels of a category path."""


class Ranks(NamedTuple):
    """Where targets stand in the lists of every seed."""

    rank: NDArray[np.int64]
    """(seeds, targets): from 1, 0 where not listed."""
    person: NDArray[np.int64]
    """Person of each target, in order."""
    is_listed: NDArray[np.bool_]
    """(seeds, places): whether a place is in any list."""
    n_without_answer: int

    @classmethod
    def of(cls, listed: list[Listed], targets: Targets) -> Ranks:
        """Return the lists of several seeds together."""
        ranks, is_listed = (np.stack([getattr(one, name) for one in listed]) for name in ("rank", "is_listed"))
        return cls(ranks, targets.person, is_listed, listed[0].n_without_answer)

    def where(self, chosen: NDArray[np.bool_]) -> Ranks:
        """Return those of some targets."""
        return self._replace(rank=self.rank[:, chosen], person=self.person[chosen])

    def hits(self, n_hits: int) -> NDArray[np.float64]:
        """Return for each person the share of seeds and targets that are among the first; (people,)."""
        return self._by_person(hits(self.rank, n_hits))

    def reciprocal(self) -> NDArray[np.float64]:
        """Return each person's reciprocal rank, the mean over seeds and targets."""
        return self._by_person(reciprocal_ranks(self.rank))

    def coverage(self, is_catalogued: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the coverage of each seed."""
        return np.array([coverage(one, is_catalogued) for one in self.is_listed])

    def _by_person(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        _, of = np.unique(self.person, return_inverse=True)
        return np.bincount(of, values.mean(axis=0)) / np.bincount(of)


class Part(NamedTuple):
    """Scores of some people."""

    n_people: int
    hr: Figure
    mrr: Figure


class Scores(NamedTuple):
    """Scores of one method for one target."""

    hr: Figure
    """Share of people whose target is among the first `n_hits`; mean over seeds, interval over people."""
    mrr: Figure
    coverage: float
    n_seeds: int
    hr_by_seed: list[float]
    mrr_by_seed: list[float]
    coverage_by_seed: list[float]
    n_without_answer: int
    """People of whom it had nothing to say, who were given the most popular places."""
    parts: dict[str, Part]


def score_ranks(
    ranks: Ranks, strata: dict[str, NDArray[np.bool_]], is_catalogued: NDArray[np.bool_], params: RecommendParams
) -> Scores:
    """Return the scores of one method; `strata` say which targets are of a kind."""
    covered = ranks.coverage(is_catalogued)
    by_seed = [ranks._replace(rank=one[None]) for one in ranks.rank]
    everybody = _part(ranks, params)
    return Scores(
        everybody.hr,
        everybody.mrr,
        float(covered.mean()),
        len(ranks.rank),
        [float(one.hits(params.n_hits).mean()) for one in by_seed],
        [float(one.reciprocal().mean()) for one in by_seed],
        covered.tolist(),
        ranks.n_without_answer,
        {name: _part(ranks.where(chosen), params) for name, chosen in strata.items()},
    )


def _part(ranks: Ranks, params: RecommendParams) -> Part:
    hit, reciprocal = ranks.hits(params.n_hits), ranks.reciprocal()
    return Part(len(hit), mean_with_interval(hit, params), mean_with_interval(reciprocal, params))


def strata_of(data: Data, targets: Targets) -> dict[str, NDArray[np.bool_]]:
    """Return kinds of targets by name: which of them are of the kind.

    warm, cold: of people with and without check-ins in training. cold_place: nobody was there in training. new_kind:
    of warm people who were never at a place of that top category. long_tail: not among the most visited places.
    """
    people, place = targets
    visited = data.visited()
    is_warm = np.diff(visited.indptr)[people] > 0
    n_visitors = np.asarray(visited.sum(axis=0)).ravel()
    group = data.check_ins.places["category"].fillna("").str.split(SEPARATOR).str[0].str.strip()
    numbers, names = group.factorize()
    at_group = np.zeros((visited.shape[0], len(names)), np.bool_)
    at_group[data.split.training["person"], numbers[data.split.training["place"]]] = True
    n_popular = int(np.ceil(data.params.popular_share * data.split.is_catalogued.sum()))
    popular = np.lexsort((np.arange(len(n_visitors)), -n_visitors))[:n_popular]
    has_group = (group != "").to_numpy()[place]
    return {
        "warm": is_warm,
        "cold": ~is_warm,
        "cold_place": n_visitors[place] == 0,
        "new_kind": is_warm & has_group & ~at_group[people, numbers[place]],
        "long_tail": ~np.isin(place, popular),
    }
