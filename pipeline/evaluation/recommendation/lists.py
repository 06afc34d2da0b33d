"""Where targets stand in the lists that a method makes for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.simple_rules import count_popularity
from pipeline.evaluation.recommendation.splitting import Split, Targets
from pipeline.models.places.ranked_lists import NOTHING, blocks_of_people, find_ranks, top_places


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
    """Whether a place is in any of the lists of cold and of warm people; (2, places)."""
    n_without_answer: NDArray[np.int64]
    """Cold and warm people of whom the method had nothing to say, who were given the most popular places; (2,)."""


def rank_targets(method: Method, split: Split, names: Iterable[str], n_listed: int) -> dict[str, Listed]:
    """Return where targets of the split stand among the first `n_listed` places recommended to their people, by name.

    Only places that the targets allow are recommended. Of equal scores the more popular place comes first, then the
    lower number (ours); a person without scores is given the most popular places. A person is scored once for all.
    """
    popularity = count_popularity(split)
    order = np.lexsort((np.arange(len(popularity)), -popularity))
    targets = {name: split.targets[name] for name in names}
    found = {name: _nothing_listed(of) for name, of in targets.items()}
    everybody = np.unique(np.concatenate([of.person for of in targets.values()]))
    for people in blocks_of_people(everybody, len(popularity)):
        scores = np.array(method.scores(people), np.float64)
        has_none = np.isnan(scores.sum(axis=1))
        scores[has_none] = popularity
        for name, of in targets.items():
            is_asked = np.isin(people, of.person)
            asked = people[is_asked]
            allowed = _allowed(scores[is_asked], asked, split, of)
            _note(found[name], of, asked, top_places(allowed, order, n_listed), has_none[is_asked], split.is_warm)
    return found


def _nothing_listed(targets: Targets) -> Listed:
    is_listed = np.zeros((2, len(targets.may_list)), np.bool_)
    return Listed(np.zeros(len(targets.person), np.int64), is_listed, np.zeros(2, np.int64))


def _allowed(
    scores: NDArray[np.float64], people: NDArray[np.int64], split: Split, targets: Targets
) -> NDArray[np.float64]:
    """Return the scores, those of places that may not be listed -infinity; changed in place."""
    scores[:, ~targets.may_list] = -np.inf
    if targets.hides_visited:
        rows = split.record[split.record["person"].isin(people)]
        scores[np.searchsorted(people, rows["person"]), rows["place"].to_numpy()] = -np.inf
    return scores


def _note(
    found: Listed,
    targets: Targets,
    people: NDArray[np.int64],
    listed: NDArray[np.int64],
    has_none: NDArray[np.bool_],
    is_warm: NDArray[np.bool_],
) -> None:
    """Write the lists of some people into what was found, in place."""
    for kind in (0, 1):
        is_kind = is_warm[people] == kind
        own = listed[is_kind]
        found.is_listed[kind, own[own != NOTHING]] = True
        found.n_without_answer[kind] += int(has_none[is_kind].sum())
    theirs = np.isin(targets.person, people)
    found.rank[theirs] = find_ranks(listed[np.searchsorted(people, targets.person[theirs])], targets.place[theirs])
