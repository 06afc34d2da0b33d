"""Motifs: which networks of places are the same, whatever their places are called.

A network of n places is an adjacency matrix without a diagonal, its entries in reading order packed into an int64 whose
highest bit is the first. Two networks are the same motif where one is the other with its places renamed, that is where
the smallest matrices that renaming makes of them are equal. The networks a day makes are few, so all renamings are
tried, once for each distinct matrix.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

MOST_NODES = 7
"""Largest network: its matrix has 49 bits and 5,040 renamings. One more place would leave no room for the count."""
NODE_SHIFT = MOST_NODES * MOST_NODES
"""Bits of a matrix below the number of places in a key."""


def pack_networks(
    start: NDArray[np.int64], symbol: NDArray[np.int64], n_nodes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the packed matrix of each sequence of places, and the number of its distinct directed moves.

    `start` and `symbol` are sequences as `place_sequences` makes them, repeats merged, `n_nodes` their places. The
    matrix of a sequence with more places than `MOST_NODES` is 0. ValueError where a place follows itself.
    """
    owner = np.repeat(np.arange(n_nodes.size), np.diff(start))
    is_move = owner[1:] == owner[:-1]
    group, origin, destination = owner[1:][is_move], symbol[:-1][is_move], symbol[1:][is_move]
    if (origin == destination).any():
        raise ValueError("a place follows itself: merge repeats first")
    n = n_nodes[group]
    move = np.unique(np.column_stack([group, origin * n + destination]), axis=0)
    group, entry = move[:, 0], move[:, 1]
    n_edges = np.bincount(group, minlength=n_nodes.size).astype(np.int64)
    is_small = n_nodes[group] <= MOST_NODES
    group, entry = group[is_small], entry[is_small]
    matrix = np.zeros(n_nodes.size, np.int64)
    np.add.at(matrix, group, np.int64(1) << (n_nodes[group] ** 2 - 1 - entry))
    return matrix, n_edges


def canonical_matrices(n_nodes: int, matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the smallest matrix that renaming places makes of each: int64, packed as they came.

    Equal where, and only where, the networks are isomorphic. `n_nodes` is 1 to `MOST_NODES`, ValueError if not.
    """
    if not 1 <= n_nodes <= MOST_NODES:
        raise ValueError(f"networks of 1 to {MOST_NODES} places, not {n_nodes}")
    distinct, of_distinct = np.unique(matrix, return_inverse=True)
    smallest = distinct.copy()
    last = n_nodes * n_nodes - 1
    entries = [(a, b) for a in range(n_nodes) for b in range(n_nodes) if a != b]
    is_set = {(a, b): (distinct >> (last - a * n_nodes - b)) & 1 for a, b in entries}
    for name in permutations(range(n_nodes)):
        renamed = np.zeros_like(distinct)
        for a, b in entries:
            renamed |= is_set[a, b] << (last - name[a] * n_nodes - name[b])
        np.minimum(smallest, renamed, out=smallest)
    return smallest[of_distinct]


def motif_name(n_nodes: int, matrix: int) -> str:
    """Return a packed matrix as text, its rows parted by slashes: "01/10" is there and back."""
    bits = format(matrix, f"0{n_nodes * n_nodes}b")
    return "/".join(bits[row : row + n_nodes] for row in range(0, len(bits), n_nodes))


def motif_names(n_nodes: NDArray[np.int64], matrix: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the motif of each network of 1 to `MOST_NODES` places as text, each distinct one worked out once."""
    key = (n_nodes << NODE_SHIFT) | matrix
    distinct, of_key = np.unique(key, return_inverse=True)
    nodes, found = distinct >> NODE_SHIFT, distinct & ((np.int64(1) << NODE_SHIFT) - 1)
    names = np.empty(distinct.size, object)
    for n in np.unique(nodes):
        at = np.flatnonzero(nodes == n)
        names[at] = [motif_name(int(n), int(code)) for code in canonical_matrices(int(n), found[at])]
    return names[of_key]
