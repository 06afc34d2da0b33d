"""Who was where: the plain arrays that the place models learn from. No torch in here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
UNKNOWN = 0
"""Code of a category or area that is not known, or was not when the model was fitted; known ones count from 1."""
NEVER_S = np.iinfo(np.int64).max
"""Later than any event."""


class Interactions(NamedTuple):
    """Events of persons at places, one entry each, in any order: no result depends on it."""

    person: NDArray[np.int64]
    """Number of the person, 0 to n_persons - 1."""
    place: NDArray[np.int64]
    """Number of the place, 0 to n_places - 1."""
    time_s: NDArray[np.int64]
    """When, in seconds since any one moment that all share."""
    is_weak: NDArray[np.bool_]
    """A hint of interest only (a single short visit, a friend's place): an input of persons, never a link to learn."""
    n_persons: int
    n_places: int

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Interactions:
        """Return the chosen events, of as many persons and places."""
        return self._replace(
            person=self.person[chosen],
            place=self.place[chosen],
            time_s=self.time_s[chosen],
            is_weak=self.is_weak[chosen],
        )

    def before(self, cut_s: int) -> Interactions:
        """Return the events before a moment in seconds."""
        return self.where(self.time_s < cut_s)

    def strong(self) -> Interactions:
        """Return the events without the weak ones."""
        return self.where(~self.is_weak)


class PlaceFeatures(NamedTuple):
    """What is known of every place without anybody having been there."""

    place_type: NDArray[np.int8]
    """Node type of each place, 0 the rarest (`group_types.node_types`)."""
    text: NDArray[np.float32]
    """Text embedding of each place, (n_places, width), rows of length 1 or 0 (`text`, `hashed_text`)."""
    category: NDArray[np.int32]
    """Code of its category, `UNKNOWN` or from 1."""
    area: NDArray[np.int32]
    """Code of its area (an H3 cell, a tract), `UNKNOWN` or from 1."""

    @property
    def n_types(self) -> int:
        """Number of node types, at least one."""
        return int(self.place_type.max(initial=0)) + 1


class PersonFeatures(NamedTuple):
    """What is known of every person beside where they were. All of it is optional."""

    home_area: NDArray[np.int32] | None = None
    """Code of the home's area, `UNKNOWN` or from 1, for each person."""


def checked(interactions: Interactions) -> Interactions:
    """Return the same events as arrays of their types; ValueError where lengths or numbers do not fit."""
    person, place, time_s = (np.asarray(values, np.int64) for values in interactions[:3])
    is_weak = np.asarray(interactions.is_weak, bool)
    if not person.shape == place.shape == time_s.shape == is_weak.shape or person.ndim != 1:
        raise ValueError("person, place, time_s and is_weak differ in length")
    for name, values, n in (("person", person, interactions.n_persons), ("place", place, interactions.n_places)):
        if values.size and not 0 <= values.min() <= values.max() < n:
            raise ValueError(f"{name} has numbers outside 0 to {n - 1}")
    return Interactions(person, place, time_s, is_weak, interactions.n_persons, interactions.n_places)


def mark_single_visits(
    interactions: Interactions, dwell_s: NDArray[np.float64] | None = None, max_dwell_s: float = 900.0
) -> Interactions:
    """Return the events with those marked weak that are their person's only one at the place, and short.

    Dwells are in seconds; below `max_dwell_s` (ours: a quarter of an hour) is short, and without dwells, as of
    check-ins, every single one is. The paper's weak signals are follows, previews and intents to pay (2403.05185
    [READ]); this is their counterpart for visits (ours).
    """
    pair = interactions.person * interactions.n_places + interactions.place
    _, of, n = np.unique(pair, return_inverse=True, return_counts=True)
    is_short = np.ones(pair.size, bool) if dwell_s is None else dwell_s < max_dwell_s
    return interactions._replace(is_weak=interactions.is_weak | ((n[of] == 1) & is_short))


def add_friends_places(
    interactions: Interactions, friends: NDArray[np.int64], max_per_person: int = 50
) -> Interactions:
    """Return the events and, as weak ones, first strong visits of each person's friends to places new to them then.

    New is a place that the person had not been to at that time; whether they go there later plays no part, or a
    friend's place could never be one that a model learns to foretell.

    `friends` is (n, 2) numbers of persons, either order, once or twice. A place of several friends counts once, at the
    earliest of their first visits; of a person's the latest `max_per_person` are taken (ours), ties by place. They
    stand after the events given, by person, the latest first.
    """
    n_places = interactions.n_places
    strong = interactions.strong()
    order = np.lexsort((strong.time_s, strong.place, strong.person))
    person, place, time_s = (values[order] for values in (strong.person, strong.place, strong.time_s))
    is_first = np.append(True, (np.diff(person) != 0) | (np.diff(place) != 0))[: person.size]
    person, place, time_s = person[is_first], place[is_first], time_s[is_first]
    both = np.unique(np.concatenate([friends, friends[:, ::-1]]).reshape(-1, 2), axis=0)
    low, high = np.searchsorted(person, both[:, 1]), np.searchsorted(person, both[:, 1], side="right")
    row = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)] or [low])
    who = np.repeat(both[:, 0], high - low)
    is_new = time_s[row] < _first_times(interactions, who * n_places + place[row])
    who, where, when = who[is_new], place[row][is_new], time_s[row][is_new]
    order = np.lexsort((when, where, who))
    _, once = np.unique((who * n_places + where)[order], return_index=True)
    chosen = order[once]
    chosen = chosen[np.lexsort((where[chosen], -when[chosen], who[chosen]))]
    rank = np.arange(chosen.size) - np.searchsorted(who[chosen], who[chosen])
    chosen = chosen[rank < max_per_person]
    return interactions._replace(
        person=np.concatenate([interactions.person, who[chosen]]),
        place=np.concatenate([interactions.place, where[chosen]]),
        time_s=np.concatenate([interactions.time_s, when[chosen]]),
        is_weak=np.concatenate([interactions.is_weak, np.ones(chosen.size, bool)]),
    )


def _first_times(interactions: Interactions, pair: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when each person * n_places + place occurs first among the events, `NEVER_S` where it does not."""
    own = interactions.person * interactions.n_places + interactions.place
    order = np.lexsort((interactions.time_s, own))
    known, first = np.unique(own[order], return_index=True)
    if not known.size:
        return np.full(pair.size, NEVER_S)
    at = np.minimum(np.searchsorted(known, pair), known.size - 1)
    return np.where(known[at] == pair, interactions.time_s[order][first][at], NEVER_S)
