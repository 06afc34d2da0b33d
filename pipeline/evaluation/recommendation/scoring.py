"""Scores of a method over seeds and people, of all and of kinds of people and places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.comparing import Figure, Kind, mean_with_interval
from pipeline.evaluation.recommendation.lists import Listed
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.simple_rules import Data, count_popularity
from pipeline.evaluation.recommendation.splitting import Targets
from pipeline.models.places.ranked_lists import coverage, hits, reciprocal_ranks

KINDS: tuple[Kind, Kind] = ("cold", "warm")
"""Kinds of people: without and with a check-in in training."""
SEPARATOR = ">"
"""Between the levels of a category path."""


class Ranks(NamedTuple):
    """Where targets stand in the lists of every seed."""

    rank: NDArray[np.int64]
    """(seeds, targets): from 1, 0 where not listed."""
    person: NDArray[np.int64]
    """Person of each target, in order."""
    is_warm: NDArray[np.bool_]
    """Whether the person of each target is warm."""
    is_listed: NDArray[np.bool_]
    """(seeds, 2, places): whether a place is in any list of cold and of warm people."""
    may_list: NDArray[np.bool_]
    """Whether a place may be in the lists."""
    n_without_answer: NDArray[np.int64]
    """Cold and warm people of whom the method had nothing to say; (2,)."""

    @classmethod
    def of(cls, listed: list[Listed], targets: Targets, is_warm: NDArray[np.bool_]) -> Ranks:
        """Return the lists of several seeds together; `is_warm` is of all people."""
        ranks, is_listed = (np.stack([getattr(one, name) for one in listed]) for name in ("rank", "is_listed"))
        warm = is_warm[targets.person]
        return cls(ranks, targets.person, warm, is_listed, targets.may_list, listed[0].n_without_answer)

    def where(self, chosen: NDArray[np.bool_]) -> Ranks:
        """Return those of some targets."""
        return self._replace(rank=self.rank[:, chosen], person=self.person[chosen], is_warm=self.is_warm[chosen])

    def of_kind(self, kind: Kind) -> Ranks:
        """Return those of warm or of cold people, with their lists alone."""
        row, of = [KINDS.index(kind)], self.where(self.is_warm == (kind == "warm"))
        return of._replace(is_listed=self.is_listed[:, row], n_without_answer=self.n_without_answer[row])

    @property
    def n_people(self) -> int:
        """Number of people with a target."""
        return np.unique(self.person).size

    def hits(self, n_hits: int) -> NDArray[np.float64]:
        """Return for each seed and person the share of targets that are among the first; (seeds, people)."""
        return self._by_person(hits(self.rank, n_hits))

    def reciprocal(self) -> NDArray[np.float64]:
        """Return for each seed and person the mean reciprocal rank of the targets; (seeds, people)."""
        return self._by_person(reciprocal_ranks(self.rank))

    def coverage(self) -> NDArray[np.float64]:
        """Return the coverage of each seed."""
        return np.array([coverage(one.any(axis=0), self.may_list) for one in self.is_listed])

    def _by_person(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        _, of, counts = np.unique(self.person, return_inverse=True, return_counts=True)
        return np.stack([np.bincount(of, one, minlength=counts.size) for one in values]) / counts


class Part(NamedTuple):
    """Scores of some people."""

    n_people: int
    hr: Figure
    mrr: Figure


class Scores(NamedTuple):
    """Scores of one method for one target and everybody, or warm or cold people."""

    n_people: int
    hr: Figure
    """Share of people whose target is among the first `n_hits`; mean and interval over people and seeds."""
    mrr: Figure
    coverage: float
    """Share of the places that may be listed that is in any list of these people; mean over seeds."""
    n_seeds: int
    hr_by_seed: list[float]
    mrr_by_seed: list[float]
    coverage_by_seed: list[float]
    n_without_answer: int
    """People of whom it had nothing to say, who were given the most popular places."""
    parts: dict[str, Part]
    """Of kinds of people and places (`strata_of`)."""


def score_ranks(ranks: Ranks, strata: dict[str, NDArray[np.bool_]], params: RecommendParams) -> Scores:
    """Return the scores of one method; `strata` say which targets are of a kind."""
    covered = ranks.coverage()
    everybody = _part(ranks, params)
    return Scores(
        everybody.n_people,
        everybody.hr,
        everybody.mrr,
        float(covered.mean()),
        len(ranks.rank),
        _by_seed(ranks.hits(params.n_hits)),
        _by_seed(ranks.reciprocal()),
        covered.tolist(),
        int(ranks.n_without_answer.sum()),
        {name: _part(ranks.where(chosen), params) for name, chosen in strata.items()},
    )


def _part(ranks: Ranks, params: RecommendParams) -> Part:
    hit, reciprocal = ranks.hits(params.n_hits), ranks.reciprocal()
    return Part(hit.shape[1], mean_with_interval(hit, params), mean_with_interval(reciprocal, params))


def _by_seed(values: NDArray[np.float64]) -> list[float]:
    return values.mean(axis=1).tolist() if values.size else [np.nan] * len(values)


def strata_of(data: Data, targets: Targets) -> dict[str, NDArray[np.bool_]]:
    """Return kinds of targets by name: which of them are of the kind.

    cold_place: nobody was there in training. new_kind: of warm people who were never at a place of that top category.
    long_tail: not among the most visited places.
    """
    people, place = targets.person, targets.place
    split, world = data.split, data.split.world
    n_visitors = count_popularity(split)
    group = world.places["category"].fillna("").str.split(SEPARATOR).str[0].str.strip()
    numbers, names = group.factorize()
    at_group = np.zeros((world.n_people, len(names)), np.bool_)
    at_group[split.record["person"], numbers[split.record["place"]]] = True
    n_popular = int(np.ceil(data.params.popular_share * split.is_catalogued.sum()))
    popular = np.lexsort((np.arange(len(n_visitors)), -n_visitors))[:n_popular]
    has_group = (group != "").to_numpy()[place]
    return {
        "cold_place": n_visitors[place] == 0,
        "new_kind": split.is_warm[people] & has_group & ~at_group[people, numbers[place]],
        "long_tail": ~np.isin(place, popular),
    }
