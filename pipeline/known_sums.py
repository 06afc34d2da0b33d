"""What sums of cells follow from the rows of a table that are shown, and which row to hide so that they do not."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import lsqr

from pipeline.margins import MarginTable, cells_below, lines_along

MOST_SETS = 100_000
"""Sets of hidden cells looked at per block of cells that hang together: pairs always, more at once while they are no
more than this (ours)."""
DENSE_CELLS = 500
"""Blocks of more cells are solved by iteration (ours: 0.1 s)."""
DETERMINED = 1e-6
"""A sum that can move by less than this, where cells move by about 1, is known (ours)."""


class _Sums(NamedTuple):
    """What is known of the cells that are not shown: sums of them, one a shown row."""

    below: sparse.csr_matrix
    """Row × base cell: what each row is the sum of, base rows of themselves."""
    base: np.ndarray
    """The row of each base cell."""
    is_hidden: np.ndarray
    """Whether the base cell is not shown."""
    fewest: np.ndarray
    """Per row: how many devices are behind its cells that are not shown, the fewest there can be."""


def rows_to_hide(table: MarginTable, is_shown: np.ndarray, min_devices: int) -> list[int]:
    """Return rows to hide because all shown rows together tell of hidden ones; none: nothing is told."""
    if len(table.parents) == 0 or is_shown.all():
        return []
    sums = _known_sums(table, is_shown)
    of_margins = np.flatnonzero(is_shown & ~table.is_base)
    known = sums.below[of_margins][:, sums.is_hidden].tocsr()
    few = of_margins[(known.getnnz(axis=1) > 0) & (sums.fewest[of_margins] < min_devices)]
    if few.size:
        return sorted({_victim_below(table, sums, row) for row in few.tolist()})
    cells, n_blocks = np.flatnonzero(sums.is_hidden), 0
    links = sparse.bmat([[None, known], [known.T, None]], format="csr")
    n_blocks, block = connected_components(links, directed=False)
    found: set[int] = set()
    for rows, columns in _blocks(block, of_margins.size, n_blocks):
        part = _Block(of_margins[rows], cells[columns], known[rows][:, columns])
        for told in _told(table, sums, part, min_devices):
            found.add(_victim(table, sums, part, told))
    return sorted(found)


def _blocks(block: np.ndarray, n_rows: int, n_blocks: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows and the cells of each block that has both."""
    order = np.argsort(block, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(block, minlength=n_blocks))[:-1]):
        rows, columns = members[members < n_rows], members[members >= n_rows] - n_rows
        if rows.size and columns.size:
            yield rows, columns


def _known_sums(table: MarginTable, is_shown: np.ndarray) -> _Sums:
    base = np.flatnonzero(table.is_base)
    below = cells_below(table, base)
    hidden = ~is_shown[base]
    n_shown_below = below @ (table.n[base] * ~hidden)
    if table.is_partition.all():
        return _Sums(below, base, hidden, (below @ (table.n[base] * hidden)).astype(np.int64))
    fewest = below.multiply(table.n[base] * hidden).max(axis=1).toarray().ravel()
    for k in range(len(table.parents)):
        line, above = lines_along(table, k)
        part = np.flatnonzero(line >= 0)
        less = np.where(is_shown[part], table.n[part], n_shown_below[part])
        there = table.n[above] - np.bincount(line[part], less, above.size)
        # Of rests only the fewest devices are known, and nothing of the rests' parts.
        fewest[above] = np.maximum(fewest[above], np.where(above < table.n_given, there, 0))
    return _Sums(below, base, hidden, fewest.astype(np.int64))


class _Block(NamedTuple):
    """Cells that are not shown and the shown rows that they hang together by."""

    rows: np.ndarray
    cells: np.ndarray
    """Places among the base cells."""
    known: sparse.csr_matrix
    """Row × cell."""


def _told(table: MarginTable, sums: _Sums, block: _Block, min_devices: int) -> list[np.ndarray]:
    """Return sets of a block's cells (0 or 1 for each) whose sum is known and may not be."""
    row = sums.base[block.cells]
    n = table.n[row]
    moves = _moves(block.known)
    is_known = np.abs(moves).max(axis=0) < DETERMINED
    alone = np.flatnonzero(is_known & ((row < table.n_given) | (n < min_devices)))
    if alone.size:
        return [_set_of([int(cell)], n.size) for cell in alone]
    margins = _hidden_margins(table, sums, block)
    is_told = np.abs(margins @ moves.T).max(axis=1) < DETERMINED
    if is_told.any():
        return _apart(margins[int(row)].toarray().ravel() for row in np.flatnonzero(is_told))
    small = np.flatnonzero((n < min_devices) & (n > 0))
    enough = block.known[sums.fewest[block.rows] >= min_devices]
    n_cells = np.asarray(enough.sum(axis=1)).ravel()
    sets = (_set_of(small[cells], n.size) for cells in _known_sets(moves[:, small]))
    is_counted = bool(table.is_partition.all())
    # Of a shown row's whole rest it is known that enough devices are behind it.
    return _apart(
        told for told in sets if not (is_counted and told @ n >= min_devices) and not (enough @ told == n_cells).any()
    )


def _apart(sets: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Return sets that share no cell, the first of those that do: what is hidden for it may do for the others."""
    found: list[np.ndarray] = []
    taken = None
    for told in sets:
        if taken is None or not (taken * told).any():
            taken = told if taken is None else taken + told
            found.append(told)
    return found


def _hidden_margins(table: MarginTable, sums: _Sums, block: _Block) -> sparse.csr_matrix:
    """Return the cells of each hidden margin that lies wholly in the block."""
    inside = sums.below[: table.n_given][:, block.cells]
    n_hidden = sums.below[: table.n_given] @ sums.is_hidden.astype(np.float64)
    n_inside = np.asarray(inside.sum(axis=1)).ravel()
    is_margin = ~table.is_base[: table.n_given] & (n_inside > 1) & (n_inside == n_hidden)
    is_margin[block.rows] = False
    return inside[is_margin]


def _set_of(cells: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    found = np.zeros(size)
    found[cells] = 1.0
    return found


def _moves(known: sparse.csr_matrix) -> np.ndarray:
    """Return two ways to move all cells, by about 1 each, that change no known sum.

    They are chosen at random among all such, so that sums that they leave alone are those that follow from the known.
    """
    start = np.random.default_rng(known.shape[1]).normal(size=(2, known.shape[1]))
    if known.shape[1] <= DENSE_CELLS:
        dense = known.toarray()
        return start - np.linalg.lstsq(dense, dense @ start.T, rcond=None)[0].T
    back = [
        lsqr(known, known @ one, atol=1e-11, btol=1e-11, conlim=0, iter_lim=20 * known.shape[1])[0] for one in start
    ]
    return start - np.array(back)


def _known_sets(moves: np.ndarray) -> Iterator[np.ndarray]:
    """Yield sets of two or more cells whose sum does not move."""
    n_cells = moves.shape[1]
    order = np.argsort(moves[0], kind="stable")
    at = np.minimum(np.searchsorted(moves[0][order], -moves[0] - DETERMINED), max(n_cells - 1, 0))
    for cell in range(n_cells):
        other = order[at[cell]]
        if other != cell and (np.abs(moves[:, cell] + moves[:, other]) < DETERMINED).all():
            yield np.array([cell, other])
    n_sets = n_cells * (n_cells - 1) // 2
    for size in range(3, n_cells + 1):
        n_sets = n_sets * (n_cells - size + 1) // size
        if n_sets > MOST_SETS:
            break
        sets = np.array(list(combinations(range(n_cells), size)))
        yield from sets[np.abs(moves[:, sets].sum(axis=2)).max(axis=0) < DETERMINED]


def _victim_below(table: MarginTable, sums: _Sums, row: int) -> int:
    """Return the shown base cell of fewest devices below a row, or the row where none is: its rest is of few."""
    below = sums.below[row].indices
    rows = sums.base[below[~sums.is_hidden[below]]]
    return int(rows[np.lexsort((rows, table.n[rows]))[0]]) if rows.size else row


def _victim(table: MarginTable, sums: _Sums, block: _Block, told: np.ndarray) -> int:
    """Return the row of fewest devices without which the sum of a set of cells is not put together as it is now."""
    if block.known.shape[1] <= DENSE_CELLS:
        weights = np.linalg.lstsq(block.known.toarray().T, told, rcond=None)[0]
    else:
        weights = lsqr(block.known.T.tocsr(), told, atol=1e-12, btol=1e-12, conlim=0)[0]
    weights[np.abs(weights) < DETERMINED] = 0.0
    in_sum = np.abs(sums.below[block.rows].T @ weights) > DETERMINED
    rows = sums.base[in_sum & ~sums.is_hidden]
    if not rows.size:
        rows = block.rows[weights != 0]
    return int(rows[np.lexsort((rows, table.n[rows]))[0]])
