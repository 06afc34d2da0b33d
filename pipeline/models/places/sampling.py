"""Random draws on the graph: neighbours, links to learn from, negatives. Anew each time, by key. No torch in here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.models.places.covisit_graph import PlaceGraph, relation_of

NOBODY = -1
"""Stands where a node has fewer neighbours, or an anchor fewer negatives, than are asked for."""
MAX_REDRAWS = 8
"""Draws of a negative that is no neighbour before the place stays empty (an anchor linked to nearly all)."""


def sample_neighbours(
    graph: PlaceGraph, nodes: NDArray[np.int64], fan_out: int, key: int, masked: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return up to `fan_out` neighbours of each node and type, (n, n_types, fan_out), `NOBODY` where there are fewer.

    Drawn uniformly without replacement; all of them where they are no more. A node's draw hangs on (key, node, type)
    alone. `masked` is a rising list of ``node * n_nodes + neighbour`` of links that no message passes along: they are
    drawn, then left out (ours), so a node that is supervised may have fewer.
    """
    drawn = _sample(graph.start, graph.neighbour, np.asarray(nodes, np.int64), fan_out, np.uint64(key))
    if masked is not None and masked.size:
        keys = np.asarray(nodes)[:, None, None] * graph.n_nodes + drawn
        drawn[is_among(keys, masked) & (drawn != NOBODY)] = NOBODY
    return drawn


def is_among(keys: NDArray[np.int64], rising: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each key whether it is in a rising list."""
    if not rising.size:
        return np.zeros(keys.shape, bool)
    at = np.minimum(np.searchsorted(rising, keys), rising.size - 1)
    return rising[at] == keys


def supervision_links(
    links: NDArray[np.int64],
    node_type: NDArray[np.int8],
    chance: np.random.Generator,
    is_balanced: bool,
    max_links: int | None = None,
) -> NDArray[np.int64]:
    """Return the links (n, 2) that one epoch learns from, shuffled: the balanced multi-link sampler.

    Balanced: N links of each relation that has any, N the number of the rarest, all N of the rarest (2403.05185 [READ],
    section 1.5 of its method page), drawn without replacement [INF]. Unbalanced: all links. Beyond `max_links` a part
    of them, drawn uniformly.
    """
    chosen = np.arange(len(links))
    if is_balanced and len(links):
        relation = relation_of(links, node_type) @ np.array([int(node_type.max()) + 1, 1])
        _, of, counts = np.unique(relation, return_inverse=True, return_counts=True)
        n = int(counts.min())
        chosen = np.concatenate([chance.choice(np.flatnonzero(of == r), n, replace=False) for r in range(counts.size)])
    return links[chance.permutation(chosen)[:max_links]]


def oriented(links: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int64]:
    """Return the links with either end as the anchor, by the toss of a coin."""
    is_turned = chance.random(len(links)) < 0.5
    return np.where(is_turned[:, None], links[:, ::-1], links)


def draw_negatives(
    graph: PlaceGraph,
    anchors: NDArray[np.int64],
    n_negatives: int,
    chance: np.random.Generator,
    candidates: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return random nodes that are not linked to the anchor nor the anchor itself, (n, n_negatives).

    Uniform over all nodes, or over `candidates`; `NOBODY` where none was found in `MAX_REDRAWS` draws (ours).
    """
    pool = np.arange(graph.n_nodes) if candidates is None else candidates
    shape = (anchors.size, n_negatives)
    negatives = np.full(shape, NOBODY, np.int64)
    if not pool.size:
        return negatives
    for _ in range(MAX_REDRAWS):
        drawn = pool[chance.integers(0, pool.size, shape)]
        is_free = ~_are_linked(graph.start, graph.neighbour, graph.node_type, anchors, drawn)
        negatives = np.where((negatives == NOBODY) & is_free, drawn, negatives)
        if (negatives != NOBODY).all():
            break
    return negatives


@kernel
def _sample(start, neighbour, nodes, fan_out, key):
    n_types = start.shape[1] - 1
    drawn = np.full((nodes.size, n_types, fan_out), -1, np.int64)
    for i in range(nodes.size):
        for s in range(n_types):
            first = start[nodes[i], s]
            n = start[nodes[i], s + 1] - first
            if n <= fan_out:
                for k in range(n):
                    drawn[i, s, k] = neighbour[first + k]
                continue
            bits = _mix(_mix(key + np.uint64(nodes[i])) + np.uint64(s))
            # Floyd: every subset is as probable as any other, in as many draws as it has members.
            for k in range(fan_out):
                bits = _mix(bits + np.uint64(0x9E3779B97F4A7C15))
                top = n - fan_out + k
                choice = np.int64(bits % np.uint64(top + 1))
                for j in range(k):
                    if drawn[i, s, j] == neighbour[first + choice]:
                        choice = top
                        break
                drawn[i, s, k] = neighbour[first + choice]
    return drawn


@kernel
def _mix(bits):
    """splitmix64's finaliser, as in `kernels.keyed_random`."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@kernel
def _are_linked(start, neighbour, node_type, anchors, others):
    """Whether each of the others is a neighbour of its anchor, or the anchor."""
    linked = np.zeros(others.shape, np.bool_)
    for i in range(anchors.size):
        for k in range(others.shape[1]):
            other = others[i, k]
            low, high = start[anchors[i], node_type[other]], start[anchors[i], node_type[other] + 1]
            while low < high:
                middle = (low + high) // 2
                if neighbour[middle] < other:
                    low = middle + 1
                else:
                    high = middle
            is_found = low < start[anchors[i], node_type[other] + 1] and neighbour[low] == other
            linked[i, k] = is_found or other == anchors[i]
    return linked
