"""Lists of recommended places out of scores, where they hit, and what they cover."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.splitting import Split, Targets

NOTHING = -1
"""Place of a list that is shorter than asked for."""
BLOCK_SCORES = 8_000_000
"""Scores held at a time."""


class Method(Protocol):
    """Whatever scores places for people."""

    def scores(self, people: NDArray[np.int64]) -> NDArray[np.floating]:
        """Return how well each place suits each of some people, (people, places), higher is better.

        A row of NaN: it has nothing to say of this person.
        """


class Listed(NamedTuple):
    """Where targets stand in the lists of their people."""

    rank: NDArray[np.int64]
    """Place of each target in its person's list, from 1; 0 where it is not in it."""
    is_listed: NDArray[np.bool_]
    """Whether a place is in any of the lists."""
    n_without_answer: int
    """People of whom the method had nothing to say; they were given the most popular places."""


def rank_targets(
    method: Method,
    split: Split,
    targets: Targets,
    popularity: NDArray[np.float64],
    n_listed: int,
    hides_visited: bool,
) -> Listed:
    """Return where each target stands among the first `n_listed` places recommended to its person.

    Only places of the catalogue are recommended, and with `hides_visited` none that the person visited in training.
    Of equal scores the more popular place comes first, then the lower number (ours); a person without scores is given
    the most popular places.
    """
    order = np.lexsort((np.arange(len(popularity)), -popularity))
    is_listed = np.zeros(len(popularity), np.bool_)
    rank, n_without = np.zeros(len(targets.person), np.int64), 0
    for people in _blocks(np.unique(targets.person), len(popularity)):
        scores = np.array(method.scores(people), np.float64)
        has_none = np.isnan(scores).any(axis=1)
        scores[has_none] = popularity
        scores[:, ~split.is_catalogued] = -np.inf
        if hides_visited:
            _hide_visited(scores, people, split.training)
        listed = top_places(scores, order, n_listed)
        is_listed[listed[listed != NOTHING]] = True
        theirs = np.isin(targets.person, people)
        rank[theirs] = find_ranks(listed[np.searchsorted(people, targets.person[theirs])], targets.place[theirs])
        n_without += int(has_none.sum())
    return Listed(rank, is_listed, n_without)


def top_places(scores: NDArray[np.float64], order: NDArray[np.int64], n_listed: int) -> NDArray[np.int64]:
    """Return the `n_listed` places of highest score of each row, ties in `order`; NOTHING for scores of -infinity."""
    ordered = scores[:, order]
    first = np.argsort(-ordered, axis=1, kind="stable")[:, :n_listed]
    is_out = np.isneginf(np.take_along_axis(ordered, first, axis=1))
    return np.where(is_out, NOTHING, order[first])


def find_ranks(listed: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the target stands in each list, from 1; 0 where it is not in it."""
    is_target = listed == targets[:, None]
    return np.where(is_target.any(axis=1), is_target.argmax(axis=1) + 1, 0)


def hits(rank: NDArray[np.int64], n_hits: int) -> NDArray[np.float64]:
    """Return 1 where the target stands among the first `n_hits`, else 0; its mean over people is HR@n."""
    return ((rank > 0) & (rank <= n_hits)).astype(np.float64)


def reciprocal_ranks(rank: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 / rank, 0 where the target is not in the list; its mean over people is MRR."""
    return np.where(rank > 0, 1 / np.maximum(rank, 1), 0.0)


def coverage(is_listed: NDArray[np.bool_], is_catalogued: NDArray[np.bool_]) -> float:
    """Return the share of the catalogue that is in any list."""
    return float((is_listed & is_catalogued).sum() / is_catalogued.sum())


def _blocks(people: NDArray[np.int64], n_places: int) -> Iterator[NDArray[np.int64]]:
    size = max(1, BLOCK_SCORES // n_places)
    for start in range(0, len(people), size):
        yield people[start : start + size]


def _hide_visited(scores: NDArray[np.float64], people: NDArray[np.int64], training: pd.DataFrame) -> None:
    """Set the scores of visited places to -infinity, in place."""
    rows = training[training["person"].isin(people)]
    position = pd.Series(np.arange(len(people)), index=people)
    scores[position.loc[rows["person"]].to_numpy(), rows["place"].to_numpy()] = -np.inf
