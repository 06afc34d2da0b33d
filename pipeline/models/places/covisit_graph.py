"""The co-visit graph: places are linked where somebody was at both (2403.05185 [READ]). No torch in here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.models.places.interactions import DAY_S, Interactions
from pipeline.models.places.params import GraphParams

PAIRS_AT_ONCE = 1 << 22
"""Pairs that are made before they are counted: bounds memory, changes nothing."""


class PlaceGraph(NamedTuple):
    """Neighbours of every node, by the neighbours' types: links have no weights and no direction.

    One compressed list for all relations: s -> t are the neighbours of type s of nodes of type t.
    """

    node_type: NDArray[np.int8]
    """Type of each node."""
    start: NDArray[np.int64]
    """(n_nodes, n_types + 1): neighbours of type s of node v are ``neighbour[start[v, s]:start[v, s + 1]]``."""
    neighbour: NDArray[np.int64]
    """Nodes, rising within each node and type."""

    @property
    def n_nodes(self) -> int:
        """Number of nodes, those without links among them."""
        return self.node_type.size

    @property
    def n_types(self) -> int:
        """Number of node types."""
        return self.start.shape[1] - 1

    def links(self) -> NDArray[np.int64]:
        """Return every link once, (n, 2), the lower node first, rising."""
        node = np.repeat(np.arange(self.n_nodes), self.start[:, -1] - self.start[:, 0])
        is_lower = node < self.neighbour
        pairs = np.column_stack([node[is_lower], self.neighbour[is_lower]])
        return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def covisit_links(interactions: Interactions, params: GraphParams) -> NDArray[np.int64]:
    """Return the pairs of places that enough persons were at, (n, 2), the lower place first, rising.

    Strong events of the last `window_days` count. Of a person the `max_places_per_person` places visited last make
    pairs; of places last visited at one time those of lower numbers.
    """
    strong = interactions.strong()
    if strong.time_s.size:
        strong = strong.where(strong.time_s > strong.time_s.max() - params.window_days * DAY_S)
    person, place = _recent_places(strong, params.max_places_per_person)
    keys, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for pairs in _pairs(person, place, interactions.n_places):
        keys, counts = _add_counts(keys, counts, pairs)
    keys = keys[counts >= params.n_persons_per_link]
    return np.column_stack([keys // max(interactions.n_places, 1), keys % max(interactions.n_places, 1)])


def graph_of(links: NDArray[np.int64], node_type: NDArray[np.int8], n_types: int | None = None) -> PlaceGraph:
    """Return the graph of distinct links (n, 2) between nodes of given types; ValueError on a node not there."""
    n_types = int(node_type.max(initial=0)) + 1 if n_types is None else n_types
    if links.size and not 0 <= links.min() <= links.max() < node_type.size:
        raise ValueError(f"links name nodes outside 0 to {node_type.size - 1}")
    node, neighbour = np.concatenate([links, links[:, ::-1]]).T
    order = np.lexsort((neighbour, node_type[neighbour], node))
    group = node * n_types + node_type[neighbour]
    counts = np.bincount(group, minlength=node_type.size * n_types)
    ends = np.cumsum(counts).reshape(node_type.size, n_types)
    firsts = np.append(0, ends[:-1, -1]) if node_type.size else np.empty(0, np.int64)
    start = np.column_stack([firsts, ends]).astype(np.int64)
    return PlaceGraph(np.asarray(node_type, np.int8), start, np.ascontiguousarray(neighbour[order]))


def relation_of(links: NDArray[np.int64], node_type: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return (n, 2): the types that each link joins, the lower first."""
    return np.sort(node_type[links].astype(np.int64), axis=1)


def _recent_places(strong: Interactions, n_places: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return distinct (person, place) by person, and there rising by place, of the places visited last."""
    order = np.lexsort((-strong.time_s, strong.place, strong.person))
    person, place, time_s = (values[order] for values in (strong.person, strong.place, strong.time_s))
    is_last = np.append(True, (np.diff(person) != 0) | (np.diff(place) != 0))[: person.size]
    person, place, time_s = person[is_last], place[is_last], time_s[is_last]
    order = np.lexsort((place, -time_s, person))
    rank = np.arange(person.size) - np.searchsorted(person, person)
    chosen = order[rank < n_places]
    chosen = chosen[np.lexsort((place[chosen], person[chosen]))]
    return person[chosen], place[chosen]


def _pairs(person: NDArray[np.int64], place: NDArray[np.int64], n_places: int) -> Iterator[NDArray[np.int64]]:
    """Yield keys of the pairs of each person's places, for several persons at a time."""
    later = np.searchsorted(person, person, side="right") - np.arange(person.size) - 1
    done = np.cumsum(later)
    first = 0
    while first < person.size:
        before = done[first] - later[first]
        last = max(int(np.searchsorted(done, before + PAIRS_AT_ONCE, side="right")), first + 1)
        n = later[first:last]
        a = np.repeat(np.arange(first, last), n)
        b = a + 1 + np.arange(a.size) - np.repeat(np.cumsum(n) - n, n)
        yield place[a] * n_places + place[b]
        first = last


def _add_counts(
    keys: NDArray[np.int64], counts: NDArray[np.int64], more: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return keys and counts with more keys counted in."""
    new, n = np.unique(more, return_counts=True)
    total, of = np.unique(np.concatenate([keys, new]), return_inverse=True)
    return total, np.bincount(of, np.concatenate([counts, n]), minlength=total.size).astype(np.int64)
