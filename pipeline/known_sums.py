"""What sums of cells follow from the rows of a table that are shown, and which row to hide so that they do not."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pipeline.known_sets import DETERMINED, combined_sets, known_sets, least_norm, moves_of
from pipeline.margins import MarginTable, cells_below, lines_along


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
    cells = np.flatnonzero(sums.is_hidden)
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
    moves = moves_of(block.known)
    is_known = np.abs(moves).max(axis=0) < DETERMINED
    alone = np.flatnonzero(is_known & ((row < table.n_given) | (n < min_devices)))
    if alone.size:
        return [_set_of([int(cell)], n.size) for cell in alone]
    margins = _hidden_margins(table, sums, block)
    is_told = np.abs(margins @ moves.T).max(axis=1) < DETERMINED
    if is_told.any():
        return _apart([margins[int(row)].indices for row in np.flatnonzero(is_told)], n.size)
    return _told_of_few(block, moves, n, min_devices, bool(table.is_partition.all()))


def _told_of_few(
    block: _Block, moves: np.ndarray, n: np.ndarray, min_devices: int, is_counted: bool
) -> list[np.ndarray]:
    """Return sets of two or more cells, of the fewest cells first, whose sum is known and may be of few devices."""
    small = np.flatnonzero((n < min_devices) & (n > 0))
    n_cells = np.asarray(block.known.sum(axis=1)).ravel()
    thin = block.known.T.multiply(n_cells).tocsr()
    thin.data *= -1
    thinnest = -thin.max(axis=1).toarray().ravel()
    for sets in known_sets(moves[:, small], n[small], thinnest[small], min_devices):
        told = [small[cells] for cells in sets]
        found = _apart(_may_be_few(block, told, n, n_cells, min_devices, is_counted), n.size)
        if found:
            return found
    told = [cells for cells in combined_sets(block.known) if (n[cells] < min_devices).all()]
    return _apart(_may_be_few(block, told, n, n_cells, min_devices, is_counted), n.size)


def _may_be_few(
    block: _Block, told: list[np.ndarray], n: np.ndarray, n_cells: np.ndarray, min_devices: int, is_counted: bool
) -> list[np.ndarray]:
    """Return those of the sets that may have fewer devices behind them than needed."""
    if is_counted:
        return [cells for cells in told if n[cells].sum() < min_devices]
    if not told:
        return []
    lengths = [cells.size for cells in told]
    places = np.repeat(np.arange(len(told)), lengths), np.concatenate(told)
    sets = sparse.csr_matrix((np.ones(places[0].size), places), (len(told), n.size))
    # Of a shown row's whole rest it is known that enough devices are behind it.
    inside = (sets @ block.known.T).tocoo()
    is_enough = np.zeros(len(told), bool)
    is_enough[inside.row[inside.data == n_cells[inside.col]]] = True
    return [cells for cells, enough in zip(told, is_enough, strict=True) if not enough]


def _apart(sets: list[np.ndarray], size: int) -> list[np.ndarray]:
    """Return sets that share no cell (0 or 1 for each cell), the first of those that do.

    What is hidden for one may do for the others.
    """
    found: list[np.ndarray] = []
    is_taken = np.zeros(size, bool)
    for cells in sets:
        if not is_taken[cells].any():
            is_taken[cells] = True
            found.append(_set_of(cells, size))
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


def _victim_below(table: MarginTable, sums: _Sums, row: int) -> int:
    """Return the shown base cell of fewest devices below a row, or the row where none is: its rest is of few."""
    below = sums.below[row].indices
    rows = sums.base[below[~sums.is_hidden[below]]]
    return int(rows[np.lexsort((rows, table.n[rows]))[0]]) if rows.size else row


def _victim(table: MarginTable, sums: _Sums, block: _Block, told: np.ndarray) -> int:
    """Return the row of fewest devices without which the sum of a set of cells is not put together as it is now."""
    weights = least_norm(block.known.T.tocsr(), told[:, None])[:, 0]
    weights[np.abs(weights) < DETERMINED] = 0.0
    in_sum = np.abs(sums.below[block.rows].T @ weights) > DETERMINED
    rows = sums.base[in_sum & ~sums.is_hidden]
    if not rows.size:
        rows = block.rows[weights != 0]
    return int(rows[np.lexsort((rows, table.n[rows]))[0]])
