"""The nodes that a batch needs, hop by hop, and who is whose neighbour among them. No torch in here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.models.places.covisit_graph import PlaceGraph
from pipeline.models.places.sampling import NOBODY, sample_neighbours

Neighbours = dict[tuple[int, int], NDArray[np.int64]]
"""By (type of the nodes, type of their neighbours): rows of the neighbours among the sources of that type."""


class Hop(NamedTuple):
    """What one layer computes: targets out of sources, each kept by type."""

    sources: list[NDArray[np.int64]]
    """Nodes of each type whose vectors go in, rising; the targets are among them."""
    targets: list[NDArray[np.int64]]
    """Nodes of each type whose vectors come out, rising."""
    own: list[NDArray[np.int64]]
    """Row of each target among the sources of its type."""
    neighbours: Neighbours


def sampled_hops(
    graph: PlaceGraph,
    nodes: NDArray[np.int64],
    n_layers: int,
    fan_out: int,
    keys: list[int],
    masked: NDArray[np.int64] | None = None,
) -> list[Hop]:
    """Return the hops that compute the vectors of distinct `nodes`, the first layer's first.

    `keys` are of the draws of each layer. A node has one draw a layer, whichever of the batch needs it (ours).
    """
    hops: list[Hop] = []
    targets = np.unique(nodes)
    for layer in reversed(range(n_layers)):
        drawn = sample_neighbours(graph, targets, fan_out, keys[layer], masked)
        is_needed = np.zeros(graph.n_nodes, bool)
        is_needed[targets] = True
        is_needed[drawn[drawn != NOBODY]] = True
        sources = np.flatnonzero(is_needed)
        hops.append(_hop(graph, sources, targets, drawn))
        targets = sources
    return hops[::-1]


def rows_of(nodes: NDArray[np.int64], by_type: list[NDArray[np.int64]], n_nodes: int) -> NDArray[np.int64]:
    """Return the row of each node among the nodes of all types one after another; `NOBODY` stays."""
    row = np.full(n_nodes + 1, NOBODY, np.int64)
    together = np.concatenate(by_type)
    row[together] = np.arange(together.size)
    return row[nodes]


def split_by_type(nodes: NDArray[np.int64], node_type: NDArray[np.int8], n_types: int) -> list[NDArray[np.int64]]:
    """Return the nodes of each type, in the order given."""
    types = node_type[nodes]
    return [nodes[types == t] for t in range(n_types)]


def _hop(graph: PlaceGraph, sources: NDArray[np.int64], targets: NDArray[np.int64], drawn: NDArray[np.int64]) -> Hop:
    by_type = [split_by_type(nodes, graph.node_type, graph.n_types) for nodes in (sources, targets)]
    # Rows within the own type; the last entry is that of NOBODY, which is -1.
    row = np.full(graph.n_nodes + 1, NOBODY, np.int64)
    for nodes in by_type[0]:
        row[nodes] = np.arange(nodes.size)
    types = graph.node_type[targets]
    neighbours = {(t, s): row[drawn[types == t, s]] for t in range(graph.n_types) for s in range(graph.n_types)}
    return Hop(by_type[0], by_type[1], [row[nodes] for nodes in by_type[1]], neighbours)
